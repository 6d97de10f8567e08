package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"turnout/mgmt/api"
)

// What VRRP promises with advert_int 1 and priority 100: a silent machine is given up 3 s and (256-100)/256 s after its
// last advertisement, one that resigns (256-100)/256 s after it said so. The rest is for notify scripts, and for a machine
// that is busy with something else.
const (
	silentLimit = 3610*time.Millisecond + 500*time.Millisecond
	resignLimit = 610*time.Millisecond + 390*time.Millisecond
	calmLimit   = 500 * time.Millisecond // when no takeover is to be noticed
	checkDelay  = time.Second            // until keepalived asks turnout-check again
)

const pairServices = echo + `  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    health_check: {type: tcp, interval: 1s, timeout: 900ms, rise: 1, fall: 10}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
  - {name: dns, vip: 192.168.57.100, protocol: udp, port: 53, health_check: {type: none}, real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}]}
`

// keepalivedPair is two machines of which one is active, and clients whose connections outlive every change of that.
type keepalivedPair struct {
	t               *testing.T
	active, standby *machine
	wire            *wire // at the client: ARP
	beat            *beat
	old             []*connection
}

func TestKeepalivedPair(t *testing.T) {
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	for _, rs := range s.servers {
		rs.serveUDP(t, "192.168.57.100:53")
	}
	p := startKeepalivedPair(t)
	wires := s.tapServers(t)
	p.wire, p.beat = s.client.tap(t, "eth0", filterARP), s.client.startBeat(t, "192.168.57.100:53")
	p.old = s.client.connectMany(t, 15, "192.168.57.100:7")
	stopChat, load := chat(t, p.old), s.startLoad(t, 2, 20*time.Millisecond, webURL)

	p.theMachineDies()
	p.theMachineComesBack()
	p.keepalivedStops()
	p.theBrainSplits()
	p.turnoutDies()
	p.turnoutStops()
	if full {
		p.keepalivedDies()
		p.thePreferredPreempts()
	}
	stopChat()
	wantNoFailure(t, load.stop())
	wantOneServerEach(t, s, wires, p.old)
	p.end()
}

// startKeepalivedPair starts two machines with one Maglev key. The one with the higher address, which wins a split brain,
// is active.
func startKeepalivedPair(t *testing.T) *keepalivedPair {
	t.Helper()
	p := &keepalivedPair{t: t}
	p.active = newMachine(t, 2)
	p.active.startTurnout()
	key, err := os.ReadFile(p.active.file("maglev.key"))
	if err != nil {
		t.Fatal(err)
	}
	p.standby = newMachine(t, 1)
	p.standby.write("maglev.key", string(key))
	p.standby.startTurnout()

	p.active.startKeepalived()
	p.active.waitRole(api.RoleActive)
	p.standby.startKeepalived()
	p.standby.waitRole(api.RoleStandby)
	return p
}

func newMachine(t *testing.T, number int) *machine {
	t.Helper()
	peer := fmt.Sprintf("02:00:00:00:01:1%d", 3-number)
	m := &machine{director: newDirector(t, settings{number: number, services: pairServices, role: "standby", peers: peer, more: "stop_grace: 3s\n"})}
	m.logOnFailure(t)
	m.writeKeepalived()
	return m
}

// theMachineDies: every process of the active one is killed, and its cable is dead.
func (p *keepalivedPair) theMachineDies() {
	p.change("the active machine dies", silentLimit, silentLimit, p.active.powerOff)
}

// change has the standby take over, and wants it to announce the VIP and clients to be served again in time.
func (p *keepalivedPair) change(what string, announced, served time.Duration, cause func()) {
	p.t.Helper()
	start := time.Now()
	cause()
	took := p.waitAnnounced(p.standby, start)
	time.Sleep(100 * time.Millisecond)
	silence := p.beat.silence(start)
	p.t.Logf("%s: the other announces the VIP after %v, clients are not served for %v", what, took, silence)
	if took > announced || silence > served {
		p.t.Errorf("%s: want at most %v and %v", what, announced, served)
	}
	p.active, p.standby = p.standby, p.active
	p.active.waitRole(api.RoleActive)
	fresh, err := p.active.segment.client.connect("192.168.57.100:7")
	if err != nil {
		p.t.Fatalf("%s: a new connection: %v", what, err)
	}
	fresh.Close()
}

// waitAnnounced waits until a machine announces the VIP after start. It returns when that was.
func (p *keepalivedPair) waitAnnounced(m *machine, start time.Time) (after time.Duration) {
	p.t.Helper()
	eventually(p.t, 10*time.Second, m.host.name+" announces the VIP", func() bool {
		for _, f := range p.wire.frames(isAnnouncement(vip, m.mac)) {
			if f.at.After(start) {
				after = f.at.Sub(start)
				return true
			}
		}
		return false
	})
	return after
}

// served wants clients to have been served since start.
func (p *keepalivedPair) served(what string, start time.Time) {
	p.t.Helper()
	silence := p.beat.silence(start)
	p.t.Logf("%s: the longest silence is %v", what, silence)
	if silence > calmLimit {
		p.t.Errorf("%s: clients are not served for %v", what, silence)
	}
}

// calm wants nobody to notice anything since start: clients are served, and the standby has not claimed the VIP.
func (p *keepalivedPair) calm(what string, start time.Time) {
	p.t.Helper()
	p.served(what, start)
	claims := p.wire.frames(isARP(func(a arp) bool { return a.senderMAC == p.standby.mac && a.sender == vip }))
	for _, f := range claims {
		if f.at.After(start) {
			p.t.Errorf("%s: %s claims the VIP", what, p.standby.host.name)
			break
		}
	}
	if s := p.active.status(); s.VIPs[0].State != "announced" || len(s.Conflicts) > 0 {
		p.t.Errorf("%s: the VIP of %s is %+v, want it announced without a conflict: %+v", what, p.active.host.name, s.VIPs[0], s.Conflicts)
	}
}

// theMachineComesBack, with a turnout that was active when it died. keepalived starts first, without dip0.
func (p *keepalivedPair) theMachineComesBack() {
	start := time.Now()
	p.standby.startKeepalived()
	p.standby.startTurnout()
	p.standby.waitRole(api.RoleStandby)
	time.Sleep(silentLimit) // long enough for it to take over, if it would
	p.standby.waitRole(api.RoleStandby)
	p.calm("the machine comes back", start)
}

func (p *keepalivedPair) keepalivedStops() {
	stopped := p.active
	p.change("keepalived of the active machine is stopped", resignLimit, resignLimit, func() {
		_ = stopped.keepalived.Process.Signal(syscall.SIGTERM)
	})
	stopped.stopKeepalived()
	start := time.Now()
	stopped.startKeepalived()
	stopped.waitRole(api.RoleStandby)
	p.calm("keepalived is started again", start)
}

// keepalivedDies: nothing tells turnout, so both are active until keepalived is back.
func (p *keepalivedPair) keepalivedDies() {
	killed := p.active
	p.change("keepalived of the active machine is killed", silentLimit, calmLimit, killed.killKeepalived)
	start := time.Now()
	killed.startKeepalived()
	killed.waitRole(api.RoleStandby)
	p.served("keepalived is started again", start)
}

// theBrainSplits: the bridge hands nothing from one director to the other, and everything to all others. Both are active
// then, until it is healed.
func (p *keepalivedPair) theBrainSplits() {
	winner, loser := p.active, p.standby
	start := time.Now()
	p.isolate("on")
	loser.waitRole(api.RoleActive)
	winner.waitRole(api.RoleActive)
	p.waitAnnounced(loser, start)
	eventually(p.t, 5*time.Second, "clients go to the other half", func() bool { return p.resolvesTo(loser) })
	time.Sleep(500 * time.Millisecond)

	healed := time.Now()
	p.isolate("off")
	took := p.waitAnnounced(winner, healed)
	loser.waitRole(api.RoleStandby)
	eventually(p.t, 5*time.Second, "clients go to the winner", func() bool { return p.resolvesTo(winner) })
	winner.waitRole(api.RoleActive)
	silence := p.beat.silence(start)
	p.t.Logf("the brain splits: the winner announces the VIP %v after the cut is healed, clients are not served for %v", took, silence)
	if took > resignLimit+checkDelay || silence > calmLimit {
		p.t.Errorf("the brain splits: want at most %v and %v", resignLimit+checkDelay, calmLimit)
	}
}

// isolate cuts the directors from each other, or joins them again.
func (p *keepalivedPair) isolate(state string) {
	p.t.Helper()
	for _, m := range []*machine{p.active, p.standby} {
		if _, err := m.segment.lan.run("bridge", "link", "set", "dev", m.port, "isolated", state); err != nil {
			p.t.Fatal(err)
		}
	}
}

// resolvesTo says whether the client has a machine's MAC for the VIP.
func (p *keepalivedPair) resolvesTo(m *machine) bool {
	p.t.Helper()
	entry, err := m.segment.client.run("ip", "neigh", "show", vip.String())
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.Contains(entry, m.mac)
}

// turnoutDies: the machine goes on, and with it keepalived.
func (p *keepalivedPair) turnoutDies() {
	p.change("turnout of the active machine is killed", silentLimit, silentLimit, func() { p.active.stop(syscall.SIGKILL) })
	p.turnoutStartsAgain()
}

func (p *keepalivedPair) turnoutStartsAgain() {
	start := time.Now()
	p.standby.startTurnout()
	p.standby.waitRole(api.RoleStandby)
	p.calm("turnout is started again", start)
}

// turnoutStops as its service manager has it stop.
func (p *keepalivedPair) turnoutStops() {
	stopped := p.active
	p.change("turnout of the active machine is stopped", resignLimit+checkDelay, resignLimit, func() {
		_ = stopped.cmd.Process.Signal(syscall.SIGTERM)
	})
	stopped.stop(syscall.SIGTERM)
	if code := stopped.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("turnout ends with %d, want 0", code)
	}
	p.turnoutStartsAgain()
}

// thePreferredPreempts: the machine of higher priority takes the VIP back.
func (p *keepalivedPair) thePreferredPreempts() {
	p.standby.stopKeepalived()
	p.standby.writeKeepalived("priority 100", "priority 110")
	p.change("the preferred machine preempts", silentLimit+checkDelay, calmLimit, p.standby.startKeepalived)
}

// end looks at the active machine while keepalived still keeps it so: the test's clean-up stops keepalived first.
func (p *keepalivedPair) end() {
	p.active.director.active = true
	p.active.check()
	p.active.director.active = false
}

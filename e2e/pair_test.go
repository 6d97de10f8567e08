package e2e

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"turnout/mgmt/api"
)

func TestSecondDirectorWithTheSameVIPDoesNotAnnounce(t *testing.T) {
	s := needSegment(t)
	first := startDirector(t, settings{services: web})
	w := s.client.tap(t, "eth0", filterARP)
	second := newDirector(t, settings{number: 2, services: web, conflict: true})
	second.run()
	second.plug()

	conflict := func() bool {
		var status api.Status
		return second.get("/v1/status", &status) == nil && len(status.VIPs) == 1 && status.VIPs[0].State == "conflict" && len(status.Conflicts) == 1 && status.Conflicts[0].MAC == first.mac
	}
	eventually(t, 10*time.Second, "the second director sees that the first has the VIP", conflict)
	err := second.get("/readyz", nil)
	if err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), first.mac) {
		t.Errorf("/readyz of the second says %v, want 503 and the first one's MAC %s", err, first.mac)
	}
	if log := second.log(); !strings.Contains(log, "another machine claims an address") || !strings.Contains(log, first.mac) {
		t.Errorf("the second's log does not say who has the VIP")
	}
	// Long enough for announcements that would have come.
	time.Sleep(1200 * time.Millisecond)
	wantSilence(t, w, second)
	if got := first.status().VIPs[0].State; got != "announced" {
		t.Errorf("the first director's VIP is %s, want announced", got)
	}
	if !full {
		return
	}
	first.stop(syscall.SIGTERM)
	second.active = true
	// It asks again every 5 to 15 s.
	eventually(t, 20*time.Second, "the second director takes the VIP once the first is gone", func() bool {
		return second.status().VIPs[0].State == "announced"
	})
}

// wantSilence wants no ARP answer for the VIP from a director and no announcement.
func wantSilence(t *testing.T, w *wire, d *director) {
	t.Helper()
	speech := w.frames(isARP(func(a arp) bool { return a.senderMAC == d.mac && a.sender == vip }))
	if len(speech) > 0 {
		t.Errorf("%d ARP frames in which %s claims the VIP", len(speech), d.mac)
	}
}

func TestStandbyIsSilentAndDropsVIPTraffic(t *testing.T) {
	s := needSegment(t)
	w := s.client.tap(t, "eth0", nil)
	standby := startDirector(t, settings{number: 2, services: web, role: "standby"})
	standby.waitServers("web", "up", 3)
	if answers := s.client.whoHas(t, 500*time.Millisecond, clientMAC, clientAddress, vip); len(answers[vip]) > 0 {
		t.Errorf("the standby's VIP is answered for by %v", answers[vip])
	}
	for range 10 {
		w.send(t, tcpPacket{to: standby.mac, port: 80}.frame(t))
	}
	eventually(t, 5*time.Second, "ten frames are counted as standby", func() bool {
		return standby.status().Books.Drops["standby"] == 10
	})
	for _, rs := range standby.service("web").Live.RealServers {
		if rs.Packets > 0 {
			t.Errorf("the standby forwarded %d packets to %s", rs.Packets, rs.Address)
		}
	}
	about := w.frames(func(f []byte) bool { // its path probes aside, which come from its own DIP
		a, isARP := parseARP(f)
		return srcMAC(f) == standby.mac && (isARP && (a.sender == vip || a.target == vip) ||
			isIPv4(f) && (source(f) == vip || target(f) == vip && source(f) != standby.dip))
	})
	if len(about) > 0 {
		t.Errorf("%d frames of the standby are about the VIP, the first: %s", len(about), describe(about[0].frame))
	}
}

const takeoverLimit = time.Second

func TestTakeoverKeepsConnections(t *testing.T) {
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	first := startDirector(t, settings{services: echo})
	key, err := os.ReadFile(first.file("maglev.key"))
	if err != nil {
		t.Fatal(err)
	}
	second := newDirector(t, settings{number: 2, services: echo, role: "standby"})
	second.write("maglev.key", string(key))
	second.run()
	second.plug()
	second.waitReady()
	if a, b := first.status().MaglevKeyFingerprint, second.status().MaglevKeyFingerprint; a != b {
		t.Fatalf("fingerprints of the Maglev keys: %s and %s", a, b)
	}
	for _, d := range []*director{first, second} {
		d.waitServers("echo", "up", 2)
	}
	wires := s.tapServers(t)
	pair := &pair{t: t, active: first, standby: second, old: s.client.connectMany(t, 30, "192.168.57.100:7")}

	for name, handOver := range map[string]func(){"the active one is told to be standby": pair.resign, "the active one is killed": pair.kill} {
		var took []time.Duration
		for range 3 { // a busy machine may need more than one try
			took = append(took, pair.takeOver(handOver))
			if took[len(took)-1] <= takeoverLimit {
				break
			}
		}
		t.Logf("%s: all connections talk again after %v", name, took)
		if slices.Min(took) > takeoverLimit {
			t.Errorf("%s: all connections talk again after %v at best, want at most %v", name, slices.Min(took), takeoverLimit)
		}
	}
	wantOneServerEach(t, s, wires, pair.old)
}

// pair is two directors of which one is active, and connections that must outlive every change of that.
type pair struct {
	t               *testing.T
	active, standby *director
	old             []*connection
}

// takeOver changes the roles. It returns how long it took from the order to the new one until each connection talked
// again and a new one was served.
func (p *pair) takeOver(handOver func()) time.Duration {
	p.t.Helper()
	handOver()
	start := time.Now()
	p.standby.setRole(api.RoleActive)
	var group sync.WaitGroup
	for _, c := range p.old {
		group.Go(func() {
			if err := c.talk(2000); err != nil {
				p.t.Errorf("the connection from port %d to %s broke: %v", c.port(), c.server, err)
			}
		})
	}
	group.Wait()
	fresh, err := p.active.segment.client.connect("192.168.57.100:7")
	if err != nil {
		p.t.Fatal(err)
	}
	defer fresh.Close()
	took := time.Since(start)

	p.active, p.standby = p.standby, p.active
	if !p.standby.running() {
		p.standby.restart("standby")
	}
	p.standby.waitServers("echo", "up", 2)
	if n := p.active.service("echo").Live.Packets; n == 0 {
		p.t.Error("the new active director forwarded nothing")
	}
	return took
}

func (p *pair) resign() { p.active.setRole(api.RoleStandby) }
func (p *pair) kill()   { p.active.stop(syscall.SIGKILL) }

func (d *director) setRole(role api.Role) {
	d.t.Helper()
	d.must(http.MethodPut, "/v1/role", api.RoleSetting{Role: role}, nil)
	d.active = role == api.RoleActive
}

// restart starts turnout anew in another role, whatever role it was told last.
func (d *director) restart(role string) {
	d.t.Helper()
	text, err := os.ReadFile(d.file("turnout.yaml"))
	if err != nil {
		d.t.Fatal(err)
	}
	old := map[string]string{"active": "standby", "standby": "active"}[role]
	d.write("turnout.yaml", strings.Replace(string(text), "role: "+old, "role: "+role, 1))
	if err := os.Remove(d.file("role")); err != nil && !errors.Is(err, os.ErrNotExist) {
		d.t.Fatal(err)
	}
	d.active = role == "active"
	d.run()
	d.plug()
	d.waitReady()
}

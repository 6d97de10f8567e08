package neigh_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"turnout/lcore/frame"
	"turnout/mgmt/neigh"
)

var (
	portMAC  = frame.MAC{2, 0, 0, 0, 1, 0x20}
	otherMAC = frame.MAC{2, 0, 0, 0, 1, 0x99}
	lastMAC  = frame.MAC{2, 0, 0, 0, 1, 0x98}

	dip    = netip.MustParsePrefix("192.168.57.120/24")
	vip    = netip.MustParseAddr("192.168.57.100")
	vip2   = netip.MustParseAddr("192.168.57.101")
	routed = netip.MustParseAddr("203.0.113.7")
	client = netip.MustParseAddr("192.168.57.135")
	nobody = netip.IPv4Unspecified()
)

// said is a frame that a guard sent, in words, and when.
type said struct {
	words string
	at    time.Time
}

// story runs a guard in the false time of synctest and looks at what it sends.
type story struct {
	*neigh.Guard
	t       *testing.T
	sent    chan said
	full    atomic.Bool // the ring takes nothing
	mark    time.Time   // when the last expected frame was sent
	changes atomic.Int32
}

// tell runs a story to its end. The link is up and the guard knows no VIPs yet.
func tell(t *testing.T, active bool, plot func(*story)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &story{t: t, sent: make(chan said, 10000), mark: time.Now()}
		s.Guard = neigh.New(neigh.Config{PortMAC: portMAC, DIP: dip, Active: active, Log: zap.NewNop(), Send: s.send,
			OnChange: func() { s.changes.Add(1); s.VIPs() }}) // it may ask: no lock is held
		s.LinkUp(true)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx); close(ended) }()
		plot(s)
		stop()
		<-ended
		for len(s.sent) > 0 {
			t.Errorf("not expected: %s", (<-s.sent).words)
		}
	})
}

func (s *story) send(b []byte) bool {
	if s.full.Load() {
		return false
	}
	s.sent <- said{neigh.Words(b), time.Now()}
	return true
}

// expect takes the next frame: words says what it is, and it comes between the earliest and the latest time after the
// one before.
func (s *story) expect(words string, earliest, latest time.Duration) {
	s.t.Helper()
	select {
	case got := <-s.sent:
		after := got.at.Sub(s.mark)
		s.mark = got.at
		if got.words != words || after < earliest || after > latest {
			s.t.Errorf("after %v: %s; want between %v and %v: %s", after, got.words, earliest, latest, words)
		}
	case <-time.After(latest + time.Hour):
		s.t.Fatalf("nothing for an hour; want %s", words)
	}
}

// quiet lets time pass without a frame.
func (s *story) quiet(span time.Duration) {
	s.t.Helper()
	time.Sleep(span)
	synctest.Wait()
	for len(s.sent) > 0 {
		s.t.Errorf("want %v of silence, got %s", span, (<-s.sent).words)
	}
	s.mark = time.Now()
}

// want compares the states of all VIPs, after everybody has come to rest.
func (s *story) want(states ...neigh.VIP) {
	s.t.Helper()
	synctest.Wait()
	if got := s.VIPs(); !slices.Equal(got, states) {
		s.t.Errorf("VIPs %v, want %v", got, states)
	}
}

// hears hands the guard a frame from the segment.
func (s *story) hears(b []byte, consumed bool) {
	s.t.Helper()
	if got := s.HandleARP(b); got != consumed {
		s.t.Errorf("%s: consumed %v, want %v", neigh.Words(b), got, consumed)
	}
}

func (s *story) probes(addr netip.Addr) {
	s.t.Helper()
	s.expect("who-has "+addr.String()+"? asks nobody", 0, 0)
	s.expect("who-has "+addr.String()+"? asks nobody", 200*time.Millisecond, 200*time.Millisecond)
	s.expect("who-has "+addr.String()+"? asks nobody", 200*time.Millisecond, 200*time.Millisecond)
}

func (s *story) probesAgain(addr netip.Addr) {
	s.t.Helper()
	s.expect("who-has "+addr.String()+"? asks nobody", 5*time.Second, 15*time.Second)
}

func (s *story) announces(addr netip.Addr, after time.Duration) {
	s.t.Helper()
	s.expect("GARP "+addr.String(), after, after)
	s.expect("GARP "+addr.String(), 500*time.Millisecond, 500*time.Millisecond)
	s.expect("GARP "+addr.String(), 500*time.Millisecond, 500*time.Millisecond)
}

// announced gets vip announced.
func (s *story) announced() {
	s.t.Helper()
	s.SetVIPs([]netip.Addr{vip})
	s.probes(vip)
	s.announces(vip, 200*time.Millisecond)
	s.want(neigh.VIP{Address: vip, State: neigh.Announced})
}

var (
	asks    = neigh.Request(otherMAC, client, vip)
	probes  = neigh.Request(otherMAC, nobody, vip)
	claims  = neigh.Request(otherMAC, vip, vip)
	answers = neigh.Reply(otherMAC, vip, portMAC, nobody)
	leaks   = neigh.Request(otherMAC, vip, client) // a real server without arp_announce 2
)

func TestGuardStories(t *testing.T) {
	conflict := neigh.VIP{Address: vip, State: neigh.Conflict, ConflictMAC: otherMAC}
	ours := neigh.VIP{Address: vip, State: neigh.Announced}
	alarmed := neigh.VIP{Address: vip, State: neigh.Announced, ConflictMAC: otherMAC}
	const toOther = "192.168.57.100 is-at 02:00:00:00:01:20, says so to 02:00:00:00:01:99"

	tests := []struct {
		name    string
		standby bool
		plot    func(*story)
	}{
		{"a VIP is probed, announced three times, and again every minute", false, func(s *story) {
			s.announced()
			for range 5 {
				s.expect("GARP 192.168.57.100", 54*time.Second, 60*time.Second)
			}
		}},
		{"requests are answered once the VIP is announced, and never reach the kernel", false, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.hears(asks, true)
			s.announcedAfterProbes()
			s.hears(asks, true)
			s.expect(toOther+" at 192.168.57.135", 0, 0)
			s.hears(neigh.Unicast(asks, portMAC), true)
			s.expect(toOther+" at 192.168.57.135", 0, 0)
			s.hears(probes, true)
			s.expect(toOther+" at 0.0.0.0", 0, 0)
			s.want(ours)
		}},
		{"one who answers a probe keeps the VIP, until it no longer answers", false, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.expect("who-has 192.168.57.100? asks nobody", 0, 0)
			s.hears(answers, true)
			s.want(conflict)
			s.hears(asks, true)
			for range 3 {
				s.probesAgain(vip)
				s.hears(answers, true)
				s.want(conflict)
			}
			s.probesAgain(vip)
			s.want(conflict)
			s.expect("who-has 192.168.57.100? asks nobody", 200*time.Millisecond, 200*time.Millisecond)
			s.expect("who-has 192.168.57.100? asks nobody", 200*time.Millisecond, 200*time.Millisecond)
			s.announces(vip, 200*time.Millisecond)
			s.want(ours)
		}},
		{"an answer just before the end of the probes counts", false, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.probes(vip)
			time.Sleep(199 * time.Millisecond)
			s.hears(answers, true)
			s.want(conflict)
			s.quiet(4 * time.Second)
		}},
		{"one who uses the VIP as its address while it is probed keeps it", false, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.probes(vip)
			s.hears(leaks, true)
			s.want(conflict)
			s.quiet(4 * time.Second)
		}},
		{"one who probes at the same time makes both step back", false, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.probes(vip)
			s.hears(probes, true)
			s.want(conflict)
			s.hears(probes, true) // between our rounds: changes nothing
			s.probesAgain(vip)
		}},
		{"a claim of an announced VIP raises an alarm, and the VIP stays", false, func(s *story) {
			s.announced()
			s.hears(claims, true)
			s.want(alarmed)
			s.hears(asks, true)
			s.expect(toOther+" at 192.168.57.135", 0, 0)
			s.probesAgain(vip)
			s.hears(answers, true)
			s.want(alarmed)
			s.probesAgain(vip)
			s.expect("who-has 192.168.57.100? asks nobody", 200*time.Millisecond, 200*time.Millisecond)
			s.expect("who-has 192.168.57.100? asks nobody", 200*time.Millisecond, 200*time.Millisecond)
			time.Sleep(time.Second)
			s.want(ours)
		}},
		{"a claim between link down and up changes nothing", false, func(s *story) {
			s.announced()
			s.LinkUp(false)
			s.hears(claims, true)
			s.want(neigh.VIP{Address: vip, State: neigh.LinkDown})
			s.quiet(time.Hour)
			s.LinkUp(true)
			s.LinkUp(true)
			s.probes(vip)
			s.want(neigh.VIP{Address: vip, State: neigh.Probing})
			s.announces(vip, 200*time.Millisecond)
		}},
		{"a standby is silent", true, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			for _, b := range [][]byte{asks, probes, claims, answers, leaks} {
				s.hears(b, true)
			}
			s.LinkUp(false)
			s.LinkUp(true)
			s.quiet(time.Hour)
			s.want(neigh.VIP{Address: vip, State: neigh.Standby})
		}},
		{"a takeover announces at once, and probes a second later", true, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.quiet(time.Minute)
			s.SetActive(true)
			s.hears(asks, true)
			s.want(ours)
			s.takesOver(toOther + " at 192.168.57.135")
			s.quiet(50 * time.Second)
			s.want(ours)
		}},
		{"a former holder that is not silent raises an alarm", true, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.SetActive(true)
			s.expect("GARP 192.168.57.100", 0, 0)
			s.expect("GARP 192.168.57.100", 500*time.Millisecond, 500*time.Millisecond)
			time.Sleep(510 * time.Millisecond) // the third GARP and the first probe
			s.hears(answers, true)
			s.want(alarmed)
			<-s.sent
			<-s.sent
			s.quiet(4 * time.Second)
		}},
		{"who becomes standby falls silent", false, func(s *story) {
			s.announced()
			s.SetActive(false)
			s.hears(asks, true)
			s.quiet(time.Hour)
			s.want(neigh.VIP{Address: vip, State: neigh.Standby})
		}},
		{"a takeover with the link down waits for it, then takes care", true, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.LinkUp(false)
			s.SetActive(true)
			s.quiet(time.Minute)
			s.want(neigh.VIP{Address: vip, State: neigh.LinkDown})
			s.LinkUp(true)
			s.probes(vip)
			s.announces(vip, 200*time.Millisecond)
		}},
		{"a new VIP does not disturb the others", false, func(s *story) {
			s.announced()
			s.SetVIPs([]netip.Addr{vip2, vip})
			s.mark = time.Now()
			s.probes(vip2)
			s.want(ours, neigh.VIP{Address: vip2, State: neigh.Probing})
			s.announces(vip2, 200*time.Millisecond)
		}},
		{"a VIP that is no more belongs to the kernel", false, func(s *story) {
			s.announced()
			s.SetVIPs(nil)
			s.hears(asks, false)
			s.quiet(time.Hour)
			s.want()
		}},
		{"a routed VIP is answered, but neither probed nor announced", false, func(s *story) {
			s.SetVIPs([]netip.Addr{routed})
			s.want(neigh.VIP{Address: routed, State: neigh.Announced})
			s.hears(neigh.Request(otherMAC, routed, routed), true)
			s.quiet(time.Hour)
			s.hears(neigh.Request(otherMAC, client, routed), true)
			s.expect("203.0.113.7 is-at 02:00:00:00:01:20, says so to 02:00:00:00:01:99 at 192.168.57.135", 0, 0)
		}},
		{"what could not be sent does not count", false, func(s *story) {
			s.full.Store(true)
			s.SetVIPs([]netip.Addr{vip})
			s.quiet(time.Minute)
			s.want(neigh.VIP{Address: vip, State: neigh.Probing})
			s.full.Store(false)
			s.expect("who-has 192.168.57.100? asks nobody", 0, 10*time.Millisecond)
			s.expect("who-has 192.168.57.100? asks nobody", 200*time.Millisecond, 200*time.Millisecond)
			s.expect("who-has 192.168.57.100? asks nobody", 200*time.Millisecond, 200*time.Millisecond)
			s.announces(vip, 200*time.Millisecond)
		}},
		{"what is not about a VIP is the kernel's", false, func(s *story) {
			s.announced()
			for _, b := range [][]byte{
				neigh.Request(otherMAC, client, dip.Addr()), neigh.Request(otherMAC, client, vip2), neigh.Reply(otherMAC, client, portMAC, dip.Addr()),
			} {
				s.hears(b, false)
			}
		}},
		{"frames of our own and of nobody claim nothing", false, func(s *story) {
			s.announced()
			for _, mac := range []frame.MAC{portMAC, frame.Broadcast, {}} {
				s.hears(neigh.Request(mac, vip, vip), true)
				s.hears(neigh.Request(mac, client, vip), true)
			}
			s.want(ours)
		}},
		{"what is so already starts nothing", false, func(s *story) {
			s.announced()
			s.LinkUp(true)
			s.SetActive(true)
			s.quiet(50 * time.Second)
			s.want(ours)
		}},
		{"the last one to claim a VIP is shown", false, func(s *story) {
			s.announced()
			s.hears(claims, true)
			s.want(alarmed)
			s.hears(neigh.Request(lastMAC, vip, vip), true)
			s.want(neigh.VIP{Address: vip, State: neigh.Announced, ConflictMAC: lastMAC})
		}},
		{"each change is told", false, func(s *story) {
			s.announced()
			before := s.changes.Load()
			s.hears(claims, true)
			synctest.Wait()
			if got := s.changes.Load() - before; got != 1 {
				s.t.Errorf("a claim was told %d times, want once", got)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { tell(t, !test.standby, test.plot) })
	}
}

// announcedAfterProbes is announced for a VIP that is set already.
func (s *story) announcedAfterProbes() {
	s.t.Helper()
	s.probes(vip)
	s.announces(vip, 200*time.Millisecond)
}

// takesOver expects the frames of a takeover of vip, among them one answer.
func (s *story) takesOver(answer string) {
	s.t.Helper()
	time.Sleep(1500 * time.Millisecond)
	synctest.Wait()
	var got []string
	for len(s.sent) > 0 {
		f := <-s.sent
		got = append(got, fmt.Sprintf("%v %s", f.at.Sub(s.mark), f.words))
	}
	slices.Sort(got)
	const garp, who = " GARP 192.168.57.100", " who-has 192.168.57.100? asks nobody"
	want := []string{"0s " + answer, "0s" + garp, "500ms" + garp, "1s" + garp, "1s" + who, "1.2s" + who, "1.4s" + who}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("takeover: %q, want %q", got, want)
	}
	s.mark = time.Now()
}

func TestManyVIPsAreTakenOverWithinASecondAndSpread(t *testing.T) {
	tell(t, false, func(s *story) {
		var vips []netip.Addr
		for addr := netip.MustParseAddr("192.168.57.1"); len(vips) < 250; addr = addr.Next() {
			vips = append(vips, addr)
		}
		s.SetVIPs(vips)
		s.SetActive(true)
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		perInstant, announced := map[time.Time]int{}, map[string]bool{}
		for len(s.sent) > 0 {
			f := <-s.sent
			perInstant[f.at]++
			announced[f.words] = true
		}
		if len(announced) != len(vips) {
			t.Errorf("%d of %d VIPs announced after 400 ms", len(announced), len(vips))
		}
		for _, n := range perInstant {
			if n > 32 {
				t.Errorf("%d frames at once", n)
			}
		}
	})
}

// TestTwoDirectorsStartAtOnce: both want the same VIP; one gets it, and when it falls silent the other does.
func TestTwoDirectorsStartAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		macs := [2]frame.MAC{portMAC, otherMAC}
		var guards [2]*neigh.Guard
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		for i := range guards {
			lan := make(chan []byte, 100)
			guards[i] = neigh.New(neigh.Config{PortMAC: macs[i], DIP: dip, Active: true, Log: zap.NewNop(),
				Send: func(b []byte) bool { lan <- b; return true }})
			go guards[i].Run(ctx)
			go func() {
				for {
					select {
					case <-ctx.Done():
						return
					case b := <-lan:
						guards[1-i].HandleARP(b)
					}
				}
			}()
		}
		for _, g := range guards {
			g.SetVIPs([]netip.Addr{vip})
			g.LinkUp(true)
		}
		time.Sleep(100 * time.Millisecond)
		for i, g := range guards {
			if got, want := g.VIPs()[0], (neigh.VIP{Address: vip, State: neigh.Conflict, ConflictMAC: macs[1-i]}); got != want {
				t.Errorf("after 100 ms director %d has %v, want %v", i, got, want)
			}
		}
		time.Sleep(3 * time.Minute)
		winner := slices.IndexFunc(guards[:], func(g *neigh.Guard) bool { return g.VIPs()[0].State == neigh.Announced })
		if winner < 0 {
			t.Fatal("nobody has the VIP after three minutes")
		}
		loser := 1 - winner
		if got, want := guards[winner].VIPs()[0], (neigh.VIP{Address: vip, State: neigh.Announced}); got != want {
			t.Errorf("the winner has %v, want %v", got, want)
		}
		if got, want := guards[loser].VIPs()[0], (neigh.VIP{Address: vip, State: neigh.Conflict, ConflictMAC: macs[winner]}); got != want {
			t.Errorf("the loser has %v, want %v", got, want)
		}
		guards[winner].SetActive(false)
		time.Sleep(16 * time.Second)
		if got, want := guards[loser].VIPs()[0], (neigh.VIP{Address: vip, State: neigh.Announced}); got != want {
			t.Errorf("16 s after the winner fell silent the other has %v, want %v", got, want)
		}
	})
}

package neigh_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"turnout/lcore/frame"
	"turnout/mgmt/neigh"
)

var (
	asks    = neigh.Request(otherMAC, client, vip)
	probes  = neigh.Request(otherMAC, nobody, vip)
	claims  = neigh.Request(otherMAC, vip, vip)
	answers = neigh.Reply(otherMAC, vip, portMAC, nobody)
	leaks   = neigh.Request(otherMAC, vip, client) // a real server without arp_announce 2
)

// What a story wants to be known.
const (
	ours   = "192.168.57.100 is announced"
	theirs = "192.168.57.100 is conflict"
	other  = "02:00:00:00:01:99 claims 192.168.57.100"
)

func TestGuardStories(t *testing.T) {
	const toOther = "192.168.57.100 is-at 02:00:00:00:01:20, says so to 02:00:00:00:01:99"

	tests := []struct {
		name    string
		standby bool
		plot    func(*story)
	}{
		{"a VIP is probed, announced in two rounds of five, and again every minute", false, func(s *story) {
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
			s.want(theirs, other)
			s.hears(asks, true)
			for range 3 {
				s.probesAgain(vip)
				s.hears(answers, true)
				s.want(theirs, other)
			}
			s.probesAgain(vip)
			s.want(theirs, other)
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
			s.want(theirs, other)
			s.quiet(4 * time.Second)
		}},
		{"one who uses the VIP as its address while it is probed keeps it", false, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.probes(vip)
			s.hears(leaks, true)
			s.want(theirs, other)
			s.quiet(4 * time.Second)
		}},
		{"one who probes at the same time makes both step back", false, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.probes(vip)
			s.hears(probes, true)
			s.want(theirs, other)
			s.hears(probes, true) // between our rounds: changes nothing
			s.probesAgain(vip)
		}},
		{"a claim of an announced VIP raises an alarm, and the VIP stays", false, func(s *story) {
			s.announced()
			s.hears(claims, true)
			s.want(ours, other)
			s.defends(vip)
			s.hears(asks, true)
			s.mark = time.Now()
			s.expect(toOther+" at 192.168.57.135", 0, 0)
			s.expect("GARP 192.168.57.100 to 02:00:00:00:01:99 alone", 0, 0)
			s.quiet(24 * time.Second)
			s.want(ours, other)
			s.expect("GARP 192.168.57.100", 0, 11*time.Second) // nobody claims it any more
			s.want(ours)
			s.hears(asks, true)
			s.expect(toOther+" at 192.168.57.135", 0, time.Second)
		}},
		{"one who answers for an announced VIP is found within ten seconds, and forgotten when it no longer does", false, func(s *story) {
			s.announced()
			s.hearsQuestion(vip)
			for range 6 {
				s.hears(answers, true)
				s.want(ours, other)
				s.hearsQuestion(vip)
			}
			time.Sleep(14 * time.Second)
			s.want(ours, other)
			time.Sleep(6 * time.Second)
			s.want(ours)
			s.said()
		}},
		{"a VIP is defended once in ten seconds", false, func(s *story) {
			s.announced()
			s.mark = time.Now()
			garps := 0
			for range 40 { // a claim every 500 ms, for 20 s
				s.hears(claims, true)
				time.Sleep(500 * time.Millisecond)
			}
			for _, words := range s.said() {
				if words == "GARP 192.168.57.100" {
					garps++
				}
			}
			if garps != 2 {
				s.t.Errorf("%d announcements in 20 s of claims, want 2", garps)
			}
		}},
		{"who is told to be active again announces anew", false, func(s *story) {
			s.SetVIPs([]netip.Addr{vip, routed})
			s.announcedAfterProbes()
			s.quiet(10 * time.Second)
			s.SetActive(true)
			s.announces(vip, 0)
			s.want(ours, "203.0.113.7 is announced")
		}},
		{"who is told to be active again takes the other for silent, and asks a second later", false, func(s *story) {
			s.announced()
			s.hears(claims, true)
			s.SetActive(true)
			s.want(ours)
			s.mark = time.Now()
			s.hearsQuestion(vip)
			if took := time.Since(s.mark); took > 2*time.Second {
				s.t.Errorf("asked after %v, want about a second", took)
			}
			s.watched = true
			time.Sleep(7 * time.Second)
			synctest.Wait()
			s.said()
		}},
		{"who is told to be active again while the VIP is another's stays silent", false, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.expect("who-has 192.168.57.100? asks nobody", 0, 0)
			s.hears(answers, true)
			s.SetActive(true)
			s.quiet(4 * time.Second)
			s.want(theirs, other)
		}},
		{"who is told to be standby before it defends a VIP stays silent", false, func(s *story) {
			s.announced()
			s.hears(claims, true)
			s.SetActive(false)
			s.quiet(time.Minute)
		}},
		{"a claim between link down and up changes nothing", false, func(s *story) {
			s.announced()
			s.LinkUp(false)
			s.hears(claims, true)
			s.want("192.168.57.100 is link_down")
			s.quiet(time.Hour)
			s.LinkUp(true)
			s.LinkUp(true)
			s.probes(vip)
			s.want("192.168.57.100 is probing")
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
			s.want("192.168.57.100 is standby")
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
			s.announces(vip, 0)
			s.hears(answers, true) // to the question a second after the takeover
			s.want(ours, other)
			s.expect("GARP 192.168.57.100", time.Second, time.Second)
		}},
		{"who becomes standby falls silent", false, func(s *story) {
			s.announced()
			s.SetActive(false)
			s.hears(asks, true)
			s.quiet(time.Hour)
			s.want("192.168.57.100 is standby")
		}},
		{"a takeover with the link down waits for it, then takes care", true, func(s *story) {
			s.SetVIPs([]netip.Addr{vip})
			s.LinkUp(false)
			s.SetActive(true)
			s.quiet(time.Minute)
			s.want("192.168.57.100 is link_down")
			s.LinkUp(true)
			s.probes(vip)
			s.announces(vip, 200*time.Millisecond)
		}},
		{"a new VIP does not disturb the others", false, func(s *story) {
			s.announced()
			s.SetVIPs([]netip.Addr{vip2, vip})
			s.mark = time.Now()
			s.probes(vip2)
			s.want(ours, "192.168.57.101 is probing")
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
			s.want("203.0.113.7 is announced")
			s.hears(neigh.Request(otherMAC, routed, routed), true)
			s.quiet(time.Hour)
			s.hears(neigh.Request(otherMAC, client, routed), true)
			s.expect("203.0.113.7 is-at 02:00:00:00:01:20, says so to 02:00:00:00:01:99 at 192.168.57.135", 0, 0)
		}},
		{"what could not be sent does not count", false, func(s *story) {
			s.full.Store(true)
			s.SetVIPs([]netip.Addr{vip})
			s.quiet(time.Minute)
			s.want("192.168.57.100 is probing")
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
			s.quiet(50 * time.Second)
			s.want(ours)
		}},
		{"all who claim a VIP are shown", false, func(s *story) {
			s.announced()
			s.hears(claims, true)
			s.want(ours, other)
			s.hears(neigh.Request(lastMAC, vip, vip), true)
			s.want(ours, "02:00:00:00:01:98 claims 192.168.57.100", other)
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
		t.Run(test.name, func(t *testing.T) { tell(t, !test.standby, true, test.plot) })
	}
}

func TestManyVIPsAreTakenOverWithinASecondAndSpread(t *testing.T) {
	tell(t, false, true, func(s *story) {
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
		if slices.Equal(inWords(guards[0]), inWords(guards[1])) && guards[0].VIPs()[0].State != neigh.Conflict {
			t.Errorf("after 100 ms both have %q, want one at least to step back", inWords(guards[0]))
		}
		time.Sleep(3 * time.Minute)
		winner := slices.IndexFunc(guards[:], func(g *neigh.Guard) bool { return g.VIPs()[0].State == neigh.Announced })
		if winner < 0 {
			t.Fatal("nobody has the VIP after three minutes")
		}
		loser := 1 - winner
		if got, want := inWords(guards[winner]), []string{ours}; !slices.Equal(got, want) {
			t.Errorf("the winner has %q, want %q", got, want)
		}
		if got, want := inWords(guards[loser]), []string{theirs, macs[winner].String() + " claims 192.168.57.100"}; !slices.Equal(got, want) {
			t.Errorf("the loser has %q, want %q", got, want)
		}
		guards[winner].SetActive(false)
		time.Sleep(16 * time.Second)
		if got, want := inWords(guards[loser]), []string{ours}; !slices.Equal(got, want) {
			t.Errorf("16 s after the winner fell silent the other has %q, want %q", got, want)
		}
	})
}

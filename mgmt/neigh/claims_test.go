package neigh_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"turnout/lcore/frame"
	"turnout/mgmt/neigh"
)

// Without the defence claims are told of, and that is all.
func TestGuardWithoutDefence(t *testing.T) {
	tell(t, true, false, func(s *story) {
		s.announced()
		s.hears(claims, true)
		s.hears(asks, true)
		s.expect("192.168.57.100 is-at 02:00:00:00:01:20, says so to 02:00:00:00:01:99 at 192.168.57.135", 0, time.Second)
		s.quiet(20 * time.Second)
		s.want(ours, other)
		s.quiet(15 * time.Second)
	})
}

// TestClaimsFromEverNewMACs: one who floods claims, and asks beside, has little sent and little kept.
func TestClaimsFromEverNewMACs(t *testing.T) {
	tell(t, true, true, func(s *story) {
		s.announced()
		changes := s.changes.Load()
		for i := range 2000 {
			mac := frame.MAC{2, 0xff, 0, 0, byte(i >> 8), byte(i)}
			s.hears(neigh.Request(mac, vip, vip), true)
			s.hears(neigh.Request(mac, client, vip), true)
		}
		time.Sleep(10 * time.Second)
		broadcasts, directed, replies := 0, 0, 0
		for _, words := range s.said() {
			switch {
			case words == "GARP 192.168.57.100":
				broadcasts++
			case strings.HasSuffix(words, " alone"):
				directed++
			default:
				replies++
			}
		}
		if broadcasts != 1 || directed == 0 || directed > 100 || replies != 2000 {
			t.Errorf("%d announcements to all, %d to one, %d replies, want 1, 1 to 100, 2000", broadcasts, directed, replies)
		}
		if got := len(s.Claims()); got != 16 {
			t.Errorf("%d claims are kept, want 16", got)
		}
		if got := s.changes.Load() - changes; got > 20 {
			t.Errorf("claims were told %d times", got)
		}
	})
}

func TestManyVIPsAreAskedForSlowly(t *testing.T) {
	tell(t, true, true, func(s *story) {
		var vips []netip.Addr
		for addr := netip.MustParseAddr("192.168.57.1"); len(vips) < 250; addr = addr.Next() {
			vips = append(vips, addr)
		}
		s.SetVIPs(vips)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.said()
		perSecond := map[time.Time]int{}
		asked := map[string]bool{}
		time.Sleep(11 * time.Second)
		for len(s.sent) > 0 {
			if f := <-s.sent; strings.HasSuffix(f.words, "asks nobody") {
				perSecond[f.at.Truncate(time.Second)]++
				asked[f.words] = true
			}
		}
		if len(asked) != len(vips) {
			t.Errorf("%d of %d VIPs were asked for", len(asked), len(vips))
		}
		for at, n := range perSecond {
			if n > 100 {
				t.Errorf("%d questions in the second of %v", n, at)
			}
		}
		s.watched = true
	})
}

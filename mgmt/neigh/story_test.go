package neigh_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
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
	watched bool        // questions may come at any time: those that are not expected are left out
	changes atomic.Int32
}

// tell runs a story to its end. The link is up and the guard knows no VIPs yet.
func tell(t *testing.T, active, defend bool, plot func(*story)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &story{t: t, sent: make(chan said, 10000), mark: time.Now()}
		s.Guard = neigh.New(neigh.Config{PortMAC: portMAC, DIP: dip, Active: active, Defend: defend, Log: zap.NewNop(), Send: s.send,
			OnChange: func() { s.changes.Add(1); s.VIPs(); s.Claims() }}) // it may ask: no lock is held
		s.LinkUp(true)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx); close(ended) }()
		plot(s)
		stop()
		<-ended
		for _, words := range s.said() {
			t.Errorf("not expected: %s", words)
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
		if s.watched && got.words != words && strings.HasSuffix(got.words, "asks nobody") {
			s.expect(words, earliest, latest)
			return
		}
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
	for _, words := range s.said() {
		s.t.Errorf("want %v of silence, got %s", span, words)
	}
	s.mark = time.Now()
}

// said takes what was sent until now.
func (s *story) said() (words []string) {
	for len(s.sent) > 0 {
		if f := <-s.sent; !s.watched || !strings.HasSuffix(f.words, "asks nobody") {
			words = append(words, f.words)
		}
	}
	return words
}

// LinkUp and SetActive end what was going on.
func (s *story) LinkUp(up bool) {
	s.watched = s.watched && up
	s.Guard.LinkUp(up)
}

func (s *story) SetActive(active bool) {
	s.watched = false
	s.Guard.SetActive(active)
}

// want compares the states of all VIPs and then all claims, in words, after everybody has come to rest.
func (s *story) want(states ...string) {
	s.t.Helper()
	synctest.Wait()
	if got := inWords(s.Guard); !slices.Equal(got, states) {
		s.t.Errorf("got %q, want %q", got, states)
	}
}

func inWords(g *neigh.Guard) (words []string) {
	for _, v := range g.VIPs() {
		words = append(words, fmt.Sprintf("%v is %v", v.Address, v.State))
	}
	for _, c := range g.Claims() {
		words = append(words, fmt.Sprintf("%v claims %v", c.MAC, c.Address))
	}
	return words
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

// defends expects the answer to a claim that came with the last expected frame, and counts on from there.
func (s *story) defends(addr netip.Addr) {
	s.t.Helper()
	claim := s.mark
	s.expect("GARP "+addr.String(), time.Second, time.Second)
	s.mark = claim
}

func (s *story) probesAgain(addr netip.Addr) {
	s.t.Helper()
	s.expect("who-has "+addr.String()+"? asks nobody", 5*time.Second, 15*time.Second)
}

// hearsQuestion waits for the next question about an announced VIP.
func (s *story) hearsQuestion(addr netip.Addr) {
	s.t.Helper()
	for s.mark = time.Now(); ; {
		f := <-s.sent
		if f.words == "who-has "+addr.String()+"? asks nobody" {
			if took := f.at.Sub(s.mark); took > 10*time.Second {
				s.t.Errorf("asked after %v, want at most 10 s", took)
			}
			return
		}
	}
}

// announces expects both rounds of announcements.
func (s *story) announces(addr netip.Addr, after time.Duration) {
	s.t.Helper()
	s.watched = true
	for _, first := range []time.Duration{after, 5 * time.Second} {
		s.expect("GARP "+addr.String(), first, first)
		for range 4 {
			s.expect("GARP "+addr.String(), 200*time.Millisecond, 200*time.Millisecond)
		}
	}
}

// announced gets vip announced.
func (s *story) announced() {
	s.t.Helper()
	s.SetVIPs([]netip.Addr{vip})
	s.probes(vip)
	s.announces(vip, 200*time.Millisecond)
	s.want(ours)
}

// announcedAfterProbes is announced for a VIP that is set already.
func (s *story) announcedAfterProbes() {
	s.t.Helper()
	s.probes(vip)
	s.announces(vip, 200*time.Millisecond)
}

// takesOver expects the frames of a takeover of vip, among them one answer, to the end of the second round, and one
// question after the first.
func (s *story) takesOver(answer string) {
	s.t.Helper()
	time.Sleep(7 * time.Second)
	synctest.Wait()
	var got []string
	for len(s.sent) > 0 {
		f := <-s.sent
		got = append(got, fmt.Sprintf("%v %s", f.at.Sub(s.mark), f.words))
	}
	slices.Sort(got)
	const garp, who = " GARP 192.168.57.100", " who-has 192.168.57.100? asks nobody"
	want := []string{"0s " + answer, "1s" + who}
	for i := range time.Duration(5) {
		first := i * 200 * time.Millisecond
		want = append(want, first.String()+garp, (5800*time.Millisecond+first).String()+garp)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("takeover: %q, want %q", got, want)
	}
	s.mark, s.watched = time.Now(), true
}

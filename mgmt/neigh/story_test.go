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

// announces expects both rounds of announcements.
func (s *story) announces(addr netip.Addr, after time.Duration) {
	s.t.Helper()
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
	s.want(neigh.VIP{Address: vip, State: neigh.Announced})
}

// announcedAfterProbes is announced for a VIP that is set already.
func (s *story) announcedAfterProbes() {
	s.t.Helper()
	s.probes(vip)
	s.announces(vip, 200*time.Millisecond)
}

// takesOver expects the frames of a takeover of vip, among them one answer, to the end of the second round.
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
	want := []string{"0s " + answer, "1s" + who, "1.2s" + who, "1.4s" + who}
	for i := range time.Duration(5) {
		first := i * 200 * time.Millisecond
		want = append(want, first.String()+garp, (5800*time.Millisecond+first).String()+garp)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("takeover: %q, want %q", got, want)
	}
	s.mark = time.Now()
}

package director

import (
	"testing"
	"time"

	"turnout/mgmt/store"
	"turnout/sched"
)

func TestThresholdsAreThoseOfIPVS(t *testing.T) {
	upper, both := store.RealServer{UpperThreshold: 100}, store.RealServer{UpperThreshold: 100, LowerThreshold: 50}
	for _, c := range []struct {
		name   string
		rs     store.RealServer
		flows  uint64
		before bool
		want   bool
	}{
		{"no threshold", store.RealServer{}, 1 << 40, true, false},
		{"under it", upper, 99, false, false},
		{"reached", upper, 100, false, true},
		{"over three quarters", upper, 75, true, true},
		{"under three quarters", upper, 74, true, false},
		{"lower not left", both, 50, true, true},
		{"lower left", both, 49, true, false},
		{"between, from below", both, 75, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := overloaded(&c.rs, c.flows, c.before); got != c.want {
				t.Errorf("overloaded: %v, want %v", got, c.want)
			}
		})
	}
}

func TestShareGrowsInSteps(t *testing.T) {
	begun, last, changes := time.Unix(1700000000, 0), uint32(0), 0
	for tick := range 600 { // 30 s of 50 ms
		now := share(begun, 30*time.Second, begun.Add(time.Duration(tick)*refreshInterval))
		if now < last {
			t.Fatalf("shrank from %d to %d", last, now)
		}
		if now != last {
			changes++
		}
		last = now
	}
	if early := share(begun, time.Second, begun.Add(-time.Second)); early != sched.FullShare/steps {
		t.Errorf("share %d before it began", early)
	}
	if first := share(begun, 30*time.Second, begun); first != sched.FullShare/steps {
		t.Errorf("begins with %d", first)
	}
	if share(begun, 30*time.Second, begun.Add(30*time.Second)) != sched.FullShare || share(begun, 0, begun) != sched.FullShare {
		t.Error("does not end with all")
	}
	if changes != steps-1 {
		t.Errorf("%d steps, want %d before the last one", changes, steps-1)
	}
}

//go:build !race

package sched_test

import (
	"testing"
	"time"

	"turnout/sched"
)

// fastest returns the least time of up to 100 runs; it stops at the first within the limit, as other processes
// can make a run slower but never faster.
func fastest(limit time.Duration, run func()) time.Duration {
	least := time.Duration(1<<63 - 1)
	for range 100 {
		start := time.Now()
		run()
		if least = min(least, time.Since(start)); least < limit {
			break
		}
	}
	return least
}

func TestMaglevPlanIsQuick(t *testing.T) {
	list := equal(1000)
	const limit = 3 * time.Millisecond
	if got := fastest(limit, func() { plan(t, sched.Maglev, list, 65537) }); got >= limit {
		t.Errorf("a plan of 1000 servers in 65537 positions takes %v, the limit is %v", got, limit)
	}
}

// TestExtremeWeightsTakeNoLonger has one server with a turn in every round and many that nearly always wait. Going
// through all servers in all rounds would take 65 million steps in the first case, 43 thousand million in the second.
func TestExtremeWeightsTakeNoLonger(t *testing.T) {
	for _, c := range []struct {
		n, size int
		heavy   uint32
		limit   time.Duration
	}{
		{1000, 65537, 65535, 10 * time.Millisecond},
		{65535, 655373, 1<<32 - 1, 500 * time.Millisecond},
	} {
		list := equal(c.n)
		list[c.n/2].Weight = c.heavy
		if got := fastest(c.limit, func() { plan(t, sched.Maglev, list, c.size) }); got >= c.limit {
			t.Errorf("a plan of %d servers, one of weight %d, takes %v, the limit is %v", c.n, c.heavy, got, c.limit)
		}
	}
}

// TestForesightIsQuick, as it is made for every service every 100 ms.
func TestForesightIsQuick(t *testing.T) {
	list := equal(1000)
	for i := range list {
		list[i].Weight, list[i].Active = uint32(1+i%10), uint32(i*7%1000)
	}
	const limit = time.Millisecond
	for _, s := range counting {
		p := plan(t, s, list, 0)
		if got := fastest(limit, func() { p.Table(list, 1024) }); got >= limit {
			t.Errorf("%v: a table of 1000 servers for 1024 flows takes %v, the limit is %v", s, got, limit)
		}
	}
}

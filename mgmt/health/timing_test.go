package health_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"turnout/mgmt/health"
	"turnout/mgmt/store"
)

func TestShortenBounds(t *testing.T) {
	const gap = 2 * time.Second
	low, high := gap, time.Duration(0)
	for range 10_000 {
		got := health.Shorten(gap)
		low, high = min(low, got), max(high, got)
	}
	if low < gap*9/10 || high > gap {
		t.Errorf("gaps from %v to %v, want 1.8 s to 2 s", low, high)
	}
	if low > gap*91/100 || high < gap*99/100 {
		t.Errorf("gaps from %v to %v do not use the range 1.8 s to 2 s", low, high)
	}
	if health.Shorten(0) != 0 {
		t.Error("a gap of zero must stay zero")
	}
}

func TestGapsBetweenRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		runMonitor(t, net.dial, target("web", tcp(80)))
		time.Sleep(10 * time.Minute)
		times := net.times("192.168.57.121:80")
		for i := 2; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap < 1800*time.Millisecond || gap > 2*time.Second {
				t.Fatalf("gap %d is %v, want 1.8 s to 2 s", i, gap)
			}
		}
		if len(times) < 300 {
			t.Errorf("%d runs in ten minutes", len(times))
		}
	})
}

func TestStaggeredStart(t *testing.T) {
	for _, tt := range []struct {
		n                int
		interval, window time.Duration
	}{
		{1000, 200 * time.Millisecond, 200 * time.Millisecond},
		{1000, 2 * time.Second, time.Second},
		{1000, time.Minute, time.Second},
		{10_000, 2 * time.Second, 2 * time.Second},
		{10_000, time.Minute, 2 * time.Second},
	} {
		t.Run(fmt.Sprint(tt.n, " every ", tt.interval), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { staggered(t, tt.n, tt.interval, tt.window) })
		})
	}
}

func staggered(t *testing.T, n int, interval, window time.Duration) {
	check := tcp(80)
	check.Interval = store.Duration(interval)
	var net network
	m := newMonitor(t, net.dial)
	go m.Run(t.Context())
	var targets []health.Target
	for i := range n {
		targets = append(targets, numbered(i, check))
	}
	start := time.Now()
	m.Set(targets)
	time.Sleep(window + 2*interval)
	m.Close()

	first, second := make([]int, 10), make([]int, 10) // runs per tenth of their range
	for _, times := range net.dials {
		at := times[0].Sub(start)
		if at >= window {
			t.Fatalf("a first run after %v, want within %v", at, window)
		}
		first[at*10/window]++
		at = times[1].Sub(start)
		if at > window+interval {
			t.Fatalf("a second run after %v", at)
		}
		second[min(9, max(0, at-window*9/10)*10/(interval+window/10))]++
	}
	equal(t, "targets", len(net.dials), n)
	for i := range 10 {
		if first[i] != n/10 {
			t.Errorf("first runs per tenth of %v: %v, want even", window, first)
		}
		if second[i] > n/4 {
			t.Errorf("second runs per tenth of the interval: %v, want spread", second)
		}
	}
}

// A real server that stops answering is down after at most fall x interval + timeout, whenever it stops.
func TestDownInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for ms := range 40 {
			var dead atomic.Bool
			net := network{answer: func(ctx context.Context, address string, n int) error {
				if dead.Load() {
					return silence(ctx, address, n)
				}
				return nil
			}}
			m := runMonitor(t, net.dial, target("web", tcp(80)))
			time.Sleep(10*time.Second + time.Duration(ms)*50*time.Millisecond)
			dead.Store(true)
			time.Sleep(3*2*time.Second + time.Second + time.Millisecond)
			s := m.State(target("web").Key)
			if s.Up || s.LastError != "timed out after 1s" || s.Latency != time.Second {
				t.Errorf("7 s after it fell silent: %+v", s)
			}
			m.Close()
		}
	})
}

func TestHangingCheckHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := tcp(80)
		hang.Interval, hang.Timeout = store.Duration(time.Second), store.Duration(5*time.Second)
		net := network{answer: func(ctx context.Context, address string, n int) error {
			if strings.HasPrefix(address, "10.") {
				return silence(ctx, address, n)
			}
			return nil
		}}
		targets := []health.Target{target("web", tcp(80))}
		for i := range 500 {
			targets = append(targets, numbered(i, hang))
		}
		m := runMonitor(t, net.dial, targets...)
		time.Sleep(time.Minute)
		if n := m.State(target("web").Key).Passed; n < 30 {
			t.Errorf("%d runs in a minute at 2 s beside 500 hanging checks", n)
		}
		if n := len(net.times("10.0.0.7:80")); n < 12 || n > 13 {
			t.Errorf("%d runs in a minute, want one every 5 s: a run must not begin before the last has ended", n)
		}
	})
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	synctest.Test(t, func(t *testing.T) {
		long := tcp(80)
		long.Timeout = store.Duration(time.Hour)
		net := network{answer: silence}
		m := newMonitor(t, net.dial)
		m.Set([]health.Target{target("web", long), numbered(1, long), numbered(2)})
		ended := make(chan error, 1)
		go func() { ended <- m.Run(t.Context()) }()
		time.Sleep(10 * time.Second)
		start := time.Now()
		m.Close()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %v", took)
		}
		if s := m.State(target("web").Key); s.Failed != 0 {
			t.Errorf("a run cut short counts: %+v", s)
		}
		m.Close()
		if err := m.Run(t.Context()); err != nil {
			t.Errorf("Run after Close: %v", err)
		}
	})
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before })
}

func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network{answer: func(ctx context.Context, address string, n int) error {
			if n == 0 {
				return silence(ctx, address, n)
			}
			return nil
		}}
		m := newMonitor(t, net.dial)
		m.Set([]health.Target{target("web", tcp(80))})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, cancel) // in the middle of the first run
		m.Run(ctx)
		go m.Run(t.Context())
		time.Sleep(10 * time.Second)
		if s := m.State(target("web").Key); !s.Up || s.Failed != 0 {
			t.Errorf("%+v", s)
		}
	})
}

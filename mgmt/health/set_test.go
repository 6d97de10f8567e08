package health_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"turnout/mgmt/health"
	"turnout/mgmt/store"
)

// lowPorts is a network on which only L4 ports below 1000 answer.
func lowPorts(_ context.Context, address string, _ int) error {
	if port := address[strings.LastIndexByte(address, ':')+1:]; len(port) < 4 {
		return nil
	}
	return syscall.ECONNREFUSED
}

func TestSetCarriesStateOverByKey(t *testing.T) {
	patient := tcp(8080)
	patient.Fall = 20
	none := store.HealthCheck{Type: store.CheckNone}
	for _, story := range []struct {
		name          string
		before, after []store.HealthCheck
		at, then      string // state and number of runs right after the second Set, state long after
	}{
		{"unchanged", checks(tcp(80)), checks(tcp(80)), "up 6", "up"},
		{"unchanged and down", checks(tcp(8080)), checks(tcp(8080)), "down 6", "down"},
		{"another port that answers", checks(tcp(80)), checks(tcp(81)), "up 6", "up"},
		{"another port that does not", checks(tcp(80)), checks(tcp(8080)), "up 6", "down"},
		{"a changed check counts anew", checks(tcp(80)), checks(patient), "up 6", "up"},
		{"down stays down until proven", checks(tcp(8080)), checks(tcp(80)), "down 6", "up"},
		{"one more check", checks(tcp(80)), checks(tcp(80), tcp(8080)), "up 6", "down"},
		{"the failing check goes", checks(tcp(80), tcp(8080)), checks(tcp(80)), "up 11", "up"},
		{"other order", checks(tcp(80), tcp(8080)), checks(tcp(8080), tcp(80)), "down 11", "down"},
		{"to none", checks(tcp(8080)), checks(none), "up 6", "up"},
		{"from none", checks(none), checks(tcp(8080)), "up 0", "down"},
	} {
		t.Run(story.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := network{answer: lowPorts}
				m := runMonitor(t, net.dial, target("web", story.before...))
				time.Sleep(9*time.Second + time.Millisecond)
				other := health.Target{Key: health.Key{Service: "web", RealServer: netip.MustParseAddr("192.168.57.1")}, Checks: checks(tcp(80))}
				m.Set([]health.Target{other, target("web", story.after...)})
				s := m.State(target("web").Key)
				equal(t, "right after Set", fmt.Sprint(state(s.Up), " ", s.Passed+s.Failed), story.at)
				if !s.Proven {
					t.Error("no longer proven after Set")
				}
				if s := m.State(other.Key); s.Up || s.Proven || s.Failed != 0 || s.Since != time.Now() {
					t.Errorf("new target: %+v", s)
				}
				time.Sleep(20 * time.Second)
				equal(t, "later", state(m.State(target("web").Key).Up), story.then)
			})
		})
	}
}

func checks(c ...store.HealthCheck) []store.HealthCheck { return c }

func TestSetKeepsTheTimeOfTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		slow := tcp(80)
		slow.Interval = store.Duration(30 * time.Second)
		m := runMonitor(t, net.dial, target("web", slow))
		for range 600 { // a reload every 100 ms
			time.Sleep(100 * time.Millisecond)
			m.Set([]health.Target{target("web", slow)})
		}
		if n := len(net.times("192.168.57.121:80")); n < 3 || n > 4 {
			t.Errorf("%d runs in a minute of reloads, want one every 30 s after two at the start", n)
		}
		equal(t, "reported", m.reported(), []string{"web up: every health check passes"})
	})
}

func TestSetDuringARunStartsNoSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network{answer: silence}
		m := runMonitor(t, net.dial, target("web", tcp(80)))
		for range 99 {
			time.Sleep(10 * time.Millisecond)
			m.Set([]health.Target{target("web", tcp(80))})
		}
		equal(t, "runs during the first one's timeout", len(net.times("192.168.57.121:80")), 1)
	})
}

func TestRemovedTargetIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network{answer: silence}
		m := runMonitor(t, net.dial, target("web", tcp(80)))
		time.Sleep(100 * time.Millisecond) // the first run waits for an answer
		m.Set(nil)
		time.Sleep(time.Minute)
		equal(t, "connections", len(net.times("192.168.57.121:80")), 1)
		equal(t, "targets", len(m.All()), 0)
		equal(t, "logged and reported", len(m.reported())+m.logs.Len(), 0)

		m.Set([]health.Target{target("web", tcp(80))})
		equalStatus(t, "back again", m.State(target("web").Key), health.Status{Since: time.Now()})
	})
}

// A target that leaves and comes back while its old run still lasts gets no result of that run, and one check only.
func TestTargetBackDuringItsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network{answer: func(ctx context.Context, address string, n int) error {
			if n == 0 {
				return silence(ctx, address, n)
			}
			return nil
		}}
		web := target("web", tcp(80))
		m := runMonitor(t, net.dial, web)
		time.Sleep(100 * time.Millisecond)
		m.Set(nil)
		m.Set([]health.Target{web})
		time.Sleep(20 * time.Second)
		s := m.State(web.Key)
		if runs := uint64(len(net.times("192.168.57.121:80"))); s.Failed != 0 || s.Passed != runs-1 || runs > 13 {
			t.Errorf("%d runs in 20 s, %+v", runs, s)
		}
	})
}

func TestSetBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		m := newMonitor(t, net.dial)
		var targets []health.Target
		for i := range 100 {
			targets = append(targets, numbered(i, tcp(80)))
		}
		m.Set(targets)
		time.Sleep(time.Hour)
		go m.Run(t.Context())
		synctest.Wait()
		if n := net.reached(); n > 1 {
			t.Errorf("%d of 100 first runs at once, want them spread", n)
		}
		time.Sleep(time.Second)
		equal(t, "targets reached in a second", net.reached(), 100)
	})
}

// numbered is the i-th target of many.
func numbered(i int, checks ...store.HealthCheck) health.Target {
	address := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
	return health.Target{Key: health.Key{Service: "web", RealServer: address}, Checks: checks}
}

func TestReportInOrderOnceAndMaySet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check := tcp(80)
		check.Rise, check.Fall = 1, 1
		net := network{answer: script(strings.Repeat("pf", 50))}
		var got []bool
		var m *health.Monitor
		m = health.New(health.Config{
			Source: rs121, Log: zap.NewNop(), Dial: net.dial,
			Report: func(c health.Change) {
				got = append(got, c.Up)
				m.State(c.Key)
				m.Set([]health.Target{target("web", check)})
				time.Sleep(5 * time.Second) // slower than the changes come
			},
		})
		defer m.Close()
		m.Set([]health.Target{target("web", check)})
		go m.Run(t.Context())
		time.Sleep(100 * 2 * time.Second)
		equal(t, "runs while Report blocks", m.State(target("web").Key).Passed, 50)
		time.Sleep(100 * 5 * time.Second)
		m.Close()
		want := slices.Repeat([]bool{true, false}, 50)
		equal(t, "reported", got, want)
	})
}

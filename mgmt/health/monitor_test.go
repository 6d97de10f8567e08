package health_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"turnout/mgmt/health"
	"turnout/mgmt/store"
)

// network is a pretended network: answer decides each connection, by its number per address.
type network struct {
	answer func(ctx context.Context, address string, n int) error

	mu    sync.Mutex
	dials map[string][]time.Time
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	if n.dials == nil {
		n.dials = make(map[string][]time.Time)
	}
	n.dials[address] = append(n.dials[address], time.Now())
	count := len(n.dials[address])
	n.mu.Unlock()
	if n.answer != nil {
		if err := n.answer(ctx, address, count-1); err != nil {
			return nil, err
		}
	}
	conn, _ := net.Pipe()
	return conn, nil
}

// times are the moments at which address was dialled.
func (n *network) times(address string) []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dials[address])
}

// reached is the number of addresses dialled.
func (n *network) reached() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.dials)
}

// script answers as letters say, p for a pass and f for a failure, and then with silence.
func script(letters string) func(context.Context, string, int) error {
	return func(ctx context.Context, _ string, n int) error {
		switch {
		case n >= len(letters):
			return silence(ctx, "", n)
		case letters[n] == 'f':
			return syscall.ECONNREFUSED
		}
		return nil
	}
}

func silence(ctx context.Context, _ string, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

// monitor is a Monitor under test with what it reported and logged.
type monitor struct {
	*health.Monitor
	logs *observer.ObservedLogs

	mu      sync.Mutex
	changes []health.Change
}

// newMonitor returns a monitor that is not running yet; it is closed when t ends.
func newMonitor(t *testing.T, dial health.DialFunc) *monitor {
	core, logs := observer.New(zap.DebugLevel)
	m := &monitor{logs: logs}
	m.Monitor = health.New(health.Config{
		Source:  netip.MustParseAddr("127.0.0.9"),
		Version: "test",
		Log:     zap.New(core),
		Report: func(c health.Change) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.changes = append(m.changes, c)
		},
		Dial: dial,
	})
	t.Cleanup(func() { m.Close() })
	return m
}

// runMonitor returns a monitor that runs with targets.
func runMonitor(t *testing.T, dial health.DialFunc, targets ...health.Target) *monitor {
	m := newMonitor(t, dial)
	m.Set(targets)
	go m.Run(t.Context())
	return m
}

// reported lists the changes so far as "service address up: reason".
func (m *monitor) reported() (lines []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.changes {
		lines = append(lines, fmt.Sprintf("%s %s: %s", c.Service, state(c.Up), c.Reason))
	}
	return lines
}

func state(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// tcp is the check that most tests use.
func tcp(port uint16) store.HealthCheck {
	return store.HealthCheck{
		Type: store.CheckTCP, Port: port,
		Interval: store.Duration(2 * time.Second), Timeout: store.Duration(time.Second), Rise: 2, Fall: 3,
	}
}

var rs121 = netip.MustParseAddr("192.168.57.121")

func target(service string, checks ...store.HealthCheck) health.Target {
	return health.Target{Key: health.Key{Service: service, RealServer: rs121}, Checks: checks}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestRiseAndFall(t *testing.T) {
	for _, story := range []struct {
		name          string
		rise, fall    int
		results, want string // want: the state after each result, u or d
	}{
		{"up after rise passes", 2, 3, "pp", "du"},
		{"a failure in between starts the passes anew", 3, 3, "ppfppp", "dddddu"},
		{"down after fall failures", 1, 3, "pfff", "uuud"},
		{"a pass in between starts the failures anew", 1, 3, "pffpffpfff", "uuuuuuuuud"},
		{"failures do not add up over time", 2, 3, "ppfpfpfpfpf", "duuuuuuuuuu"},
		{"there and back", 2, 2, "ppffpfppff", "duuddddu" + "ud"},
		{"one decides", 1, 1, "pfpf", "udud"},
		{"never proven", 2, 3, "fpfpfpf", "ddddddd"},
	} {
		t.Run(story.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { riseAndFall(t, story.rise, story.fall, story.results, story.want) })
		})
	}
}

func riseAndFall(t *testing.T, rise, fall int, results, want string) {
	check := tcp(80)
	check.Rise, check.Fall = rise, fall
	web := target("web", check)
	var m *monitor
	var got strings.Builder
	net := network{}
	net.answer = func(ctx context.Context, address string, n int) error {
		if n > 0 && n <= len(results) { // what the runs before this one have led to
			got.WriteString(state(m.State(web.Key).Up)[:1])
		}
		return script(results)(ctx, address, n)
	}
	m = newMonitor(t, net.dial)
	m.Set([]health.Target{web})
	go m.Run(t.Context())
	time.Sleep(time.Duration(len(results)) * 2 * time.Second)
	m.Close() // from here on, what the runs wrote may be read
	equal(t, "states", got.String(), want)

	var changes []string
	last := 'd'
	for _, s := range want {
		if s != last {
			changes = append(changes, map[rune]string{
				'u': "web up: every health check passes",
				'd': "web down: tcp port 80: connection refused",
			}[s])
		}
		last = s
	}
	reported := m.reported()
	equal(t, "reported", reported[:min(len(reported), len(changes))], changes)
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		web := target("web", tcp(80))
		net := network{answer: func(ctx context.Context, _ string, n int) error {
			time.Sleep(time.Duration(n+1) * 10 * time.Millisecond)
			return script("fpp")(ctx, "", n)
		}}
		m := runMonitor(t, net.dial, web)

		want := health.Status{Since: start}
		equalStatus(t, "before the first run ended", m.State(web.Key), want)
		time.Sleep(11 * time.Millisecond)
		want.Failed, want.Latency, want.LastError = 1, 10*time.Millisecond, "connection refused"
		equalStatus(t, "after a failure", m.State(web.Key), want)
		time.Sleep(2 * time.Second)
		want.Passed, want.Latency, want.LastError = 1, 20*time.Millisecond, ""
		equalStatus(t, "after a pass", m.State(web.Key), want)
		time.Sleep(2 * time.Second)
		want.Passed, want.Latency, want.Up, want.Proven = 2, 30*time.Millisecond, true, true
		want.Since = net.times("192.168.57.121:80")[2].Add(30 * time.Millisecond)
		equalStatus(t, "up", m.State(web.Key), want)

		count, sum, buckets := m.State(web.Key).Durations.Cumulative()
		equal(t, "count of durations", count, 3)
		equal(t, "sum of durations", sum, 0.06)
		equal(t, "buckets", buckets, map[float64]uint64{0.001: 0, 0.005: 0, 0.025: 2, 0.1: 3, 0.5: 3, 1: 3, 5: 3})

		equal(t, "all", len(m.All()), 1)
		equalStatus(t, "status in All", m.All()[web.Key], want)
		equalStatus(t, "unknown target", m.State(health.Key{Service: "other", RealServer: rs121}), health.Status{})
	})
}

// equalStatus compares all but the durations.
func equalStatus(t *testing.T, what string, got, want health.Status) {
	t.Helper()
	got.Durations = want.Durations
	if got != want {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestProvenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web := target("web", tcp(80))
		net := network{answer: script("ffffffff")}
		m := runMonitor(t, net.dial, web)
		time.Sleep(2 * time.Second)
		if s := m.State(web.Key); s.Proven || s.Failed != 2 {
			t.Errorf("after 2 of 3 failures: %+v", s)
		}
		time.Sleep(10 * time.Second)
		if s := m.State(web.Key); !s.Proven || s.Up {
			t.Errorf("after fall failures: %+v", s)
		}
		equal(t, "reported", m.reported(), nil)
		equal(t, "lines at info", m.logs.FilterMessage("real server is down").Len(), 1)
	})
}

// One failing check is judgement enough, even while another check passes but has not risen yet.
func TestProvenDownByOneCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := tcp(81)
		long.Rise = 100
		web := target("web", tcp(8080), long)
		net := network{answer: lowPorts}
		m := runMonitor(t, net.dial, web)
		time.Sleep(10 * time.Second)
		if s := m.State(web.Key); !s.Proven || s.Up || s.Passed < 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestEveryCheckMustPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		net := network{answer: func(_ context.Context, address string, _ int) error {
			if broken.Load() && strings.HasSuffix(address, ":81") {
				return syscall.ECONNREFUSED
			}
			return nil
		}}
		web := target("web", tcp(80), tcp(81), tcp(80))
		m := runMonitor(t, net.dial, web)
		time.Sleep(9 * time.Second)
		s := m.State(web.Key)
		if s.Up || !s.Proven || s.LastError != "connection refused" || s.Passed < 4 || s.Failed < 4 {
			t.Errorf("one of two checks fails: %+v", s)
		}
		if n := len(net.times("192.168.57.121:80")); n > 6 {
			t.Errorf("a check listed twice ran %d times in 9 s, want once every 2 s", n)
		}
		broken.Store(false)
		time.Sleep(5 * time.Second)
		if s := m.State(web.Key); !s.Up || s.LastError != "" {
			t.Errorf("both pass: %+v", s)
		}
		equal(t, "reported", m.reported(), []string{"web up: every health check passes"})
	})
}

func TestNoneIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network{answer: script("f")}
		none := target("web", store.HealthCheck{Type: store.CheckNone})
		m := newMonitor(t, net.dial)
		m.Set([]health.Target{none, target("empty")})
		for _, k := range []string{"web", "empty"} {
			if s := m.State(target(k).Key); !s.Up || !s.Proven {
				t.Errorf("%s right after Set: %+v", k, s)
			}
		}
		go m.Run(t.Context())
		time.Sleep(time.Minute)
		changes := m.reported()
		slices.Sort(changes)
		equal(t, "reported", changes, []string{"empty up: no health check", "web up: no health check"})
		equal(t, "addresses dialled", net.reached(), 0)
	})
}

func TestSharedCheckRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		easy, slow := tcp(80), tcp(80)
		easy.Rise = 1
		slow.Interval = store.Duration(7 * time.Second)
		m := runMonitor(t, net.dial, target("a", tcp(80)), target("b", tcp(80)), target("c", easy))
		time.Sleep(time.Second / 2)
		if a, c := m.State(target("a").Key), m.State(target("c").Key); a.Up || !c.Up {
			t.Errorf("after one pass: rise 2 up=%v, rise 1 up=%v", a.Up, c.Up)
		}
		time.Sleep(59*time.Second + time.Second/2)
		runs := uint64(len(net.times("192.168.57.121:80")))
		if runs < 30 || runs > 34 {
			t.Errorf("three targets with one check at 2 s: %d connections in a minute", runs)
		}
		for _, name := range []string{"a", "b", "c"} {
			equal(t, "passes seen by "+name, m.State(target(name).Key).Passed, runs)
		}
		m.Set([]health.Target{target("a", tcp(80)), target("d", slow)})
		time.Sleep(70 * time.Second)
		more := uint64(len(net.times("192.168.57.121:80"))) - runs
		if more < 35+10 || more > 39+13 {
			t.Errorf("two intervals are two checks: %d connections in 70 s", more)
		}
	})
}

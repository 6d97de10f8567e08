package health_test

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"turnout/lcore/frame"
	"turnout/mgmt/health"
	"turnout/mgmt/probe"
	"turnout/mgmt/store"
)

var web = probe.Target{VIP: netip.MustParseAddrPort("192.168.57.100:80"), RIP: netip.AddrPortFrom(rs121, 80)}

// probed is a target with a path probe beside its check.
func probed(service string, counts bool) health.Target {
	t := target(service, tcp(80))
	timing := tcp(0)
	timing.Type = ""
	t.Path = health.Path{Target: web, Check: timing, Counts: counts}
	return t
}

// way is the way to a real server, and what a monitor told of it.
type way struct {
	*health.Monitor
	answer atomic.Uint32 // a probe.Answer
	down   atomic.Bool   // the check of the RIP fails
	probes atomic.Int32

	told, changes []string // belong to the monitor's goroutine; to be read when it is at rest
}

func newWay(t *testing.T, targets ...health.Target) *way {
	w := &way{}
	w.answer.Store(uint32(probe.Accepted))
	network := network{answer: func(context.Context, string, int) error {
		if w.down.Load() {
			return syscall.ECONNREFUSED
		}
		return nil
	}}
	w.Monitor = health.New(health.Config{
		Source: rs121, Log: zap.NewNop(), Dial: network.dial,
		Report: func(c health.Change) { w.changes = append(w.changes, c.Service+" "+state(c.Up)+": "+c.Reason) },
		Path: func(_ context.Context, target probe.Target) probe.Evidence {
			w.probes.Add(1)
			return probe.Evidence{
				Target: target, SentTo: frame.MAC{2}, Answer: probe.Answer(w.answer.Load()), RIPAnswer: probe.Accepted, VIPEcho: true,
			}
		},
		Diagnosed: func(d health.Diagnosed) { w.told = append(w.told, d.Service+" "+string(d.Diagnosis)) },
	})
	w.Set(targets)
	go w.Run(t.Context())
	t.Cleanup(func() { w.Close() })
	return w
}

func TestPathCountsForHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWay(t, probed("web", true))
		time.Sleep(10 * time.Second)
		if s := w.State(target("web").Key); !s.Up || s.Diagnosis != (probe.Finding{Diagnosis: probe.OK}) || s.Failed > 0 {
			t.Fatalf("all is well: %+v", s)
		}
		w.answer.Store(uint32(probe.Reset))
		time.Sleep(2100 * time.Millisecond)
		if s := w.State(target("web").Key); !s.Up || s.Diagnosis.Diagnosis != probe.ServiceNotOnVIP {
			t.Errorf("after one failed probe: %+v; want a diagnosis, and up", s)
		}
		time.Sleep(4 * time.Second)
		if s := w.State(target("web").Key); s.Up || s.Failed < 3 || s.Passed < 5 || s.Latency != 0 {
			t.Errorf("after fall failed probes: %+v; want down", s)
		}
		w.down.Store(true)
		time.Sleep(2 * time.Second)
		if s := w.State(target("web").Key); s.Diagnosis.Diagnosis != probe.RIPDown || s.Diagnosis.Why != "connection refused" {
			t.Errorf("the check fails too: %+v", s.Diagnosis)
		}
		w.down.Store(false)
		w.answer.Store(uint32(probe.Accepted))
		time.Sleep(5 * time.Second)
		w.Close()
		if s := w.State(target("web").Key); !s.Up || s.Diagnosis.Diagnosis != probe.OK {
			t.Errorf("mended: %+v", s)
		}
		reason := "web down: path to 192.168.57.100:80: service_not_on_vip: the VIP is there, but nobody listens on 192.168.57.100:80: " +
			"the service may be bound to the RIP alone"
		equalLines(t, "changes", w.changes, "web up: every health check passes", reason, "web up: every health check passes")
		w.told = slices.DeleteFunc(w.told, func(s string) bool { return s == "web service_not_on_vip" }) // once or twice, as the two are mended
		equalLines(t, "diagnoses", w.told, "web rip_down", "web ok")
	})
}

func equalLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// Beside a path probe that counts for the diagnosis alone, the check of the RIP decides.
func TestAdvisoryPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		advisory := probed("web", false)
		advisory.Path.Check.Fall = 1
		w := newWay(t, advisory)
		w.answer.Store(uint32(probe.Silence))
		time.Sleep(time.Minute)
		w.Close()
		equalLines(t, "changes", w.changes, "web up: every health check passes")
		s := w.State(target("web").Key)
		if !s.Up || s.Failed > 0 || s.LastError != "" || s.Diagnosis.Diagnosis != probe.ReplyPathBlocked {
			t.Errorf("%+v; want up, and reply_path_blocked", s)
		}
		if s.Passed < 30 || s.Passed > 34 {
			t.Errorf("%d checks passed in a minute: the probes are counted among them", s.Passed)
		}
	})
}

// Services share the probes of the same VIP and port; a change of whether they count keeps what is known.
func TestPathsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := probed("other", true)
		other.Path.VIP = netip.MustParseAddrPort("192.168.57.101:80")
		w := newWay(t, probed("web", true), probed("mirror", false), other)
		time.Sleep(100*time.Second + time.Millisecond)
		if n := w.probes.Load(); n < 2*50 || n > 2*57 {
			t.Errorf("%d probes of two ways in 100 s at 2 s", n)
		}
		w.Set([]health.Target{probed("web", false)})
		if s := w.State(target("web").Key); !s.Up {
			t.Errorf("after a change of via: %+v", s)
		}
		w.Set([]health.Target{target("web", tcp(80))})
		if s := w.State(target("web").Key); !s.Up || s.Diagnosis.Diagnosis != "" {
			t.Errorf("without a path probe: %+v", s)
		}
		w.Set([]health.Target{{Key: target("web").Key, Checks: store.HealthChecks{{Type: store.CheckNone}}}})
		before := w.probes.Load()
		time.Sleep(time.Minute)
		if w.probes.Load() != before {
			t.Error("probes go on for a service that is not checked")
		}
	})
}

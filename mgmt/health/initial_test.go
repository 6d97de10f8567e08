package health_test

import (
	"testing"
	"testing/synctest"
	"time"

	"turnout/mgmt/health"
	"turnout/mgmt/store"
)

func startsUp(c store.HealthCheck) store.HealthCheck {
	c.Initial = store.InitialUp
	return c
}

func TestInitialUp(t *testing.T) {
	soon := tcp(80)
	soon.Rise = 1 // proven by the first run, before another check's second
	for _, story := range []struct {
		name   string
		checks []store.HealthCheck
		at     string // right after Set
		want   []string
	}{
		{"stays up", checks(startsUp(tcp(80))), "up", []string{"web up: up until proven down"}},
		{"until proven down", checks(startsUp(tcp(8080))), "up", []string{
			"web up: up until proven down",
			"web down: tcp port 8080: connection refused",
		}},
		{"all must begin as up", checks(startsUp(soon), tcp(81)), "down", []string{"web up: every health check passes"}},
		{"one proven down", checks(startsUp(tcp(80)), startsUp(tcp(8080))), "up", []string{
			"web up: up until proven down",
			"web down: tcp port 8080: connection refused",
		}},
		{"down says what none says", checks(tcp(80)), "down", []string{"web up: every health check passes"}},
	} {
		t.Run(story.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := network{answer: lowPorts}
				m := runMonitor(t, net.dial, target("web", story.checks...))
				equal(t, "right after Set", state(m.State(target("web").Key).Up), story.at)
				if m.State(target("web").Key).Proven {
					t.Error("proven before the first run")
				}
				time.Sleep(time.Minute)
				equal(t, "reported", m.reported(), story.want)
				if !m.State(target("web").Key).Proven {
					t.Error("not proven after a minute")
				}
			})
		})
	}
}

// Only a new real server begins: one that is known keeps its state.
func TestInitialUpRaisesNoKnownServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network{answer: lowPorts}
		m := runMonitor(t, net.dial, target("web", tcp(8080)))
		time.Sleep(time.Minute)
		m.Set([]health.Target{target("web", startsUp(tcp(8080)))})
		equal(t, "after the change", state(m.State(target("web").Key).Up), "down")
		time.Sleep(time.Minute)
		equal(t, "reported", len(m.reported()), 0)
	})
}

// One probe serves services that differ in rise, fall and initial only.
func TestInitialSharesTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network{answer: silence}
		m := runMonitor(t, net.dial, target("web", tcp(80)), target("shop", startsUp(tcp(80))))
		equal(t, "states", state(m.State(target("web").Key).Up)+state(m.State(target("shop").Key).Up), "downup")
		time.Sleep(900 * time.Millisecond)
		equal(t, "connections", len(net.times("192.168.57.121:80")), 1)
	})
}

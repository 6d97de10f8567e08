package e2e

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/events"
	"turnout/mgmt/store"
)

// eventful has a quorum that one real server's end costs it.
const eventful = `services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    quorum: 3
    health_check: {type: http, interval: 300ms, timeout: 200ms, rise: 1, fall: 1}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
`

func TestEventsOfEveryKindAreTold(t *testing.T) {
	d := startDirector(t, settings{services: eventful})
	d.waitServers("web", "up", 3)
	follower := d.follow(t)
	rs1 := d.segment.servers[0]
	t.Cleanup(func() { _ = errors.Join(rs1.breakPages(false), rs1.setMAC(rs1.mac)) })
	link := func(state string) error { return d.segment.lan.ip("link set " + d.port + " " + state) }
	steps := []struct {
		kind events.Kind
		what string
		do   func() error
	}{
		{events.Health, "a page breaks", func() error { return rs1.breakPages(true) }},
		{events.Quorum, "it is mended", func() error { return rs1.breakPages(false) }},
		{events.Drain, "a drain", func() error {
			return d.call(http.MethodPut, realServerPath("web", rs1.address)+"/drain", api.Drain{}, nil)
		}},
		{events.Config, "a new weight", func() error {
			return d.call(http.MethodPut, realServerPath("web", rs1.address), store.RealServer{Address: rs1.address, Weight: 2}, nil)
		}},
		{events.Neighbour, "another MAC", func() error { return rs1.setMAC("02:00:00:00:02:21") }},
		{events.Link, "the cable is pulled", func() error { return link("down") }},
		{events.Link, "and plugged in", func() error { return link("up") }},
		{events.Role, "standby", func() error { return d.call(http.MethodPut, "/v1/role", api.RoleSetting{Role: api.RoleStandby}, nil) }},
		{events.VIP, "active", func() error { return d.call(http.MethodPut, "/v1/role", api.RoleSetting{Role: api.RoleActive}, nil) }},
	}
	for _, step := range steps {
		before := follower.count(step.kind)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		eventually(t, 10*time.Second, step.what+": an event of the kind "+string(step.kind), func() bool { return follower.count(step.kind) > before })
	}
	for _, kind := range events.Kinds {
		if len(d.events(kind)) == 0 && kind != events.Outlier { // which takes a server that answers no client: handshake_test.go
			t.Errorf("there is no event of the kind %s", kind)
		}
	}
	d.waitReady()
}

// follower counts the events of a stream by their kinds.
type follower struct {
	mu    sync.Mutex
	kinds []string
}

func (f *follower) count(kind events.Kind) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.kinds {
		if k == string(kind) {
			n++
		}
	}
	return n
}

// follow follows the events to come until the test ends.
func (d *director) follow(t *testing.T) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	endless := &http.Client{Transport: d.http.Transport}
	answer, err := endless.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("/v1/events: %s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	f := &follower{}
	go func() {
		defer answer.Body.Close()
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				f.mu.Lock()
				f.kinds = append(f.kinds, kind)
				f.mu.Unlock()
			}
		}
	}()
	return f
}

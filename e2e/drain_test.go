package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/events"
	"turnout/mgmt/store"
)

// drained are services with an echo, one for each end of a drain. Closed flows are forgotten soon.
func drained() string {
	text := ""
	for i, then := range thens {
		text += fmt.Sprintf(`  - name: %s
    vip: 192.168.57.100
    protocol: tcp
    port: %d
    timeouts: {fin_wait: 1s}
    health_check: {type: tcp, port: 80, interval: 1s, timeout: 900ms, rise: 1, fall: 10}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}]
`, then, firstPort+i)
	}
	return text
}

var thens = []api.Then{api.ThenKeep, api.ThenReschedule, api.ThenDrop}

// connectToFirst opens connections to a service until the first real server has five of them, which it returns.
func (d *director) connectToFirst(service string, port int) (mine []*connection) {
	d.t.Helper()
	d.waitServers(service, "up", 2)
	for len(mine) < 5 {
		if c := d.segment.client.connectMany(d.t, 1, serviceAddress(port))[0]; c.server == d.segment.servers[0].name {
			mine = append(mine, c)
		}
	}
	return mine
}

func testDrainWithDeadline(d *director) {
	const deadline = 2 * time.Second
	t, rs1, rs2 := d.t, d.segment.servers[0], d.segment.servers[1]
	mine := map[api.Then][]*connection{}
	for i, then := range thens {
		mine[then] = d.connectToFirst(string(then), firstPort+i)
	}
	began := time.Now()
	for i, then := range thens {
		d.drain(string(then), rs1, api.Drain{Deadline: store.Duration(deadline), Then: then})
		live := d.realServer(string(then), rs1)
		if live.State != "draining" || live.Drain == nil || live.Drain.Flows != 5 || live.Drain.Over || live.Drain.Then != then {
			t.Errorf("%s: after the begin of the drain: %s, %+v", then, live.State, live.Drain)
		}
		wantServers(t, d.segment.client.connectMany(t, 10, serviceAddress(firstPort+i)), rs2)
		for _, c := range mine[then] {
			if err := c.talk(500); err != nil {
				t.Errorf("%s: before the deadline an old connection broke: %v", then, err)
			}
		}
	}
	if took := time.Since(began); took > deadline {
		t.Fatalf("the machine is too busy: %v until here", took)
	}
	before := d.status().Books.Drops["real_server_down"]
	for _, then := range thens {
		over := func() bool { return d.told(events.Drain, string(then), rs1.address, "deadline") }
		eventually(t, deadline+2*time.Second, "an event tells that the deadline is over", over)
		if took := time.Since(began); took < deadline {
			t.Errorf("%s: the deadline was over after %v, want %v", then, took, deadline)
		}
		for _, c := range mine[then] {
			c.wantAfterDrain(t, then)
		}
	}
	if d.status().Books.Drops["real_server_down"] == before {
		t.Error("drop: nothing was counted as real_server_down")
	}
	if n := d.service(string(api.ThenReschedule)).Live.RescheduledFlows; n != 5 {
		t.Errorf("reschedule: %d flows were counted, want 5", n)
	}
}

// wantAfterDrain wants what the drain said becomes of connections that are left.
func (c *connection) wantAfterDrain(t *testing.T, then api.Then) {
	t.Helper()
	c.timeout = 500 * time.Millisecond
	switch err := c.talk(500); {
	case then == api.ThenKeep && err != nil:
		t.Errorf("keep: a connection that was left broke: %v", err)
	case then == api.ThenReschedule && !isReset(err):
		t.Errorf("reschedule: a connection that was left got %v, want a reset by the other real server", err)
	case then == api.ThenDrop && !isTimeout(err):
		t.Errorf("drop: a connection that was left got %v, want silence", err)
	}
}

const byCommandPort = 7013

// byCommand is a service with an echo for drains by the command line.
var byCommand = fmt.Sprintf(`  - name: by-command
    vip: 192.168.57.100
    protocol: tcp
    port: %d
    timeouts: {fin_wait: 1s}
    health_check: {type: tcp, port: 80, interval: 1s, timeout: 900ms, rise: 1, fall: 10}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}]
`, byCommandPort)

func testDrainByCommand(d *director) {
	t, rs1 := d.t, d.segment.servers[0]
	mine := d.connectToFirst("by-command", byCommandPort)
	d.command("drain", "by-command", rs1.address.String(), "--deadline", "10m", "--then", "drop")
	drain := d.realServer("by-command", rs1).Drain
	if drain == nil || drain.Flows != 5 || time.Duration(drain.Deadline) != 10*time.Minute || drain.Then != api.ThenDrop || drain.Empty {
		t.Fatalf("the drain is %+v, want 5 flows and what was told", drain)
	}
	leaves := func(n uint64) func() bool {
		return func() bool { return d.realServer("by-command", rs1).Drain.Flows == n }
	}
	for _, c := range mine[2:] {
		c.Close()
	}
	eventually(t, sweepTime, "2 of 5 flows are left", leaves(2))
	if d.told(events.Drain, "by-command", rs1.address, "empty") {
		t.Error("an event tells of an empty drain while 2 flows are left")
	}
	for _, c := range mine[:2] {
		c.Close()
	}
	eventually(t, sweepTime, "the drain is empty, and an event tells of it", func() bool {
		return d.realServer("by-command", rs1).Drain.Empty && d.told(events.Drain, "by-command", rs1.address, "empty")
	})
	d.command("undrain", "by-command", rs1.address.String())
	d.waitServers("by-command", "up", 2)
	wantServers(t, d.segment.client.connectMany(t, 20, serviceAddress(byCommandPort)), d.segment.servers[:2]...)
}

// command runs a command that changes the director.
func (d *director) command(args ...string) {
	d.t.Helper()
	if out, errs, code := turnout(d.t, append(args, "--server", "unix:"+d.socket())...); code != 0 {
		d.t.Fatalf("turnout %s: exit code %d: %s%s", strings.Join(args, " "), code, out, errs)
	}
}

func TestDrainsOutliveReloadAndCrash(t *testing.T) {
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	rs1 := d.segment.servers[0]
	d.drain("web", rs1, api.Drain{Deadline: store.Duration(time.Hour), Then: api.ThenDrop})
	first := *d.realServer("web", rs1).Drain
	wantSame := func(after string) {
		t.Helper()
		live := d.realServer("web", rs1)
		if live.State != "draining" || live.Drain == nil || !live.Drain.Since.Equal(first.Since) || live.Drain.Drain != first.Drain {
			t.Errorf("after %s the drain is %s, %+v; want it as before, %+v", after, live.State, live.Drain, first)
		}
	}
	d.reload(strings.Replace(web, "{address: 192.168.57.122}", "{address: 192.168.57.122, weight: 3}", 1))
	wantSame("a reload")
	d.stop(syscall.SIGKILL)
	d.run()
	d.plug()
	d.waitReady()
	d.waitServers("web", "up", 2)
	d.waitServers("web", "draining", 1)
	wantSame("a crash")
	wantServers(t, d.segment.client.browseMany(t, 20, "192.168.57.100:80"), d.segment.servers[1:]...)
}

// events are those of some kinds that the director still knows; all without any.
func (d *director) events(kinds ...events.Kind) (list []events.Event) {
	d.t.Helper()
	path := "/v1/events?since=0&follow=false"
	for _, kind := range kinds {
		path += "&kind=" + string(kind)
	}
	text, err := d.ask("GET", path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var e events.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			d.t.Fatalf("%v in %q", err, line)
		}
		list = append(list, e)
	}
	return list
}

// told says whether there is an event about a real server, or about a service where that is zero, with a word in it.
func (d *director) told(kind events.Kind, service string, address netip.Addr, word string) bool {
	d.t.Helper()
	for _, e := range d.events(kind) {
		if e.Kind == kind && e.Service == service && e.RealServer == address && strings.Contains(e.Text, word) {
			return true
		}
	}
	return false
}

// byName is a real server.
func (s *segment) byName(name string) *server {
	for _, rs := range s.servers {
		if rs.name == name {
			return rs
		}
	}
	return nil
}

// drain has a real server get no new flows.
func (d *director) drain(service string, rs *server, drain api.Drain) {
	d.t.Helper()
	d.must(http.MethodPut, realServerPath(service, rs.address)+"/drain", drain, nil)
}

func (d *director) undrain(service string, rs *server) {
	d.t.Helper()
	d.must(http.MethodDelete, realServerPath(service, rs.address)+"/drain", nil, nil)
}

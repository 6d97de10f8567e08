package e2e

import (
	"math"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/store"
)

// planned has services that the plan changes, one that it removes and one that it leaves alone. Datagrams are forgotten
// soon.
const planned = `services:
  - name: echo
    vip: 192.168.57.100
    protocol: tcp
    port: 7
    health_check: {type: none}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
  - name: dns
    vip: 192.168.57.100
    protocol: udp
    port: 53
    timeouts: {udp: 1s}
    health_check: {type: none}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
  - name: going
    vip: 192.168.57.101
    protocol: tcp
    port: 7
    health_check: {type: none}
    real_servers: [{address: 192.168.57.122}, {address: 192.168.57.123}]
  - name: staying
    vip: 192.168.57.100
    protocol: tcp
    port: 7001
    health_check: {type: none}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}]
`

func TestPlanTellsWhatTheApplyThenDoes(t *testing.T) {
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	s.serveEcho(t, 7001)
	d := startDirector(t, settings{services: planned})
	for service, n := range map[string]int{"echo": 3, "dns": 3, "going": 2, "staying": 2} {
		d.waitServers(service, "up", n)
	}
	gone := s.servers[2]
	echoes, going, staying := s.client.connectMany(t, 30, "192.168.57.100:7"), s.client.connectMany(t, 5, "192.168.57.101:7"), s.client.connectMany(t, 5, "192.168.57.100:7001")
	mine := slices.DeleteFunc(slices.Clone(echoes), func(c *connection) bool { return c.server != gone.name })
	others := slices.DeleteFunc(slices.Clone(echoes), func(c *connection) bool { return c.server == gone.name })

	datagrams := s.askDNS(t)

	next := d.desired()
	next.Services[0].RealServers = next.Services[0].RealServers[:2]
	next.Services[1].RealServers = next.Services[1].RealServers[:2]
	next.Services[2].Name, next.Services[2].VIP = "coming", vip3
	var plan, applied api.Applied
	d.must(http.MethodPut, "/v1/services?dry_run=true", next, &plan)
	if status := d.status(); status.Generation != 1 || len(d.service("echo").Live.RealServers) != 3 {
		t.Fatalf("the dry run changed something: generation %d", status.Generation)
	}
	t.Logf("plan: %+v", plan)
	wantFlows := []api.MovedFlows{{Service: "dns"}, {Service: "echo", Rescheduled: uint64(len(mine)), Live: 30}, {Service: "going", Ended: 5, Live: 5}}
	if !reflect.DeepEqual(plan.Flows, wantFlows) {
		t.Errorf("flows of the plan: %+v, want %+v", plan.Flows, wantFlows)
	}
	if !slices.Equal(plan.Announced, []netip.Addr{vip3}) || !slices.Equal(plan.Withdrawn, []netip.Addr{vip2}) {
		t.Errorf("the plan announces %v and withdraws %v, want %v and %v", plan.Announced, plan.Withdrawn, vip3, vip2)
	}

	d.must(http.MethodPut, "/v1/services", next, &applied)
	if !reflect.DeepEqual(applied.Slots, plan.Slots) || !reflect.DeepEqual(applied.Changes, plan.Changes) || applied.Generation != 2 {
		t.Errorf("applied: %+v, want what was planned: %+v", applied, plan)
	}
	d.waitReady()
	if answers := s.client.whoHas(t, 5*time.Second, clientMAC, clientAddress, vip3); !slices.Equal(answers[vip3], []string{d.mac}) {
		t.Errorf("%v is announced, and answered for by %v", vip3, answers[vip3])
	}
	if answers := s.client.whoHas(t, 300*time.Millisecond, clientMAC, clientAddress, vip2); len(answers[vip2]) > 0 {
		t.Errorf("%v is withdrawn, and answered for by %v", vip2, answers[vip2])
	}
	wantMovedSlots(t, plan.Slots, datagrams)

	// A removed real server keeps its flows for five seconds, then they are scheduled again: here they break.
	eventually(t, 10*time.Second, "the flows are rescheduled", func() bool {
		return !slices.ContainsFunc(mine, func(c *connection) bool { return c.talk(100) == nil })
	})
	if n := d.service("echo").Live.RescheduledFlows; n != plan.Flows[1].Rescheduled {
		t.Errorf("%d flows were rescheduled, %d were planned", n, plan.Flows[1].Rescheduled)
	}
	for _, c := range going {
		c.timeout = 300 * time.Millisecond
		if err := c.talk(100); !isTimeout(err) {
			t.Errorf("a connection of a service that is gone: %v, want silence", err)
		}
	}
	for _, c := range append(others, staying...) {
		if err := c.talk(1000); err != nil {
			t.Errorf("a connection to %s, which is not touched: %v", c.server, err)
		}
	}
}

// desired is the state in force.
func (d *director) desired() (state store.State) {
	d.t.Helper()
	var list api.ServiceList
	d.must(http.MethodGet, "/v1/services", nil, &list)
	for _, svc := range list.Services {
		state.Services = append(state.Services, svc.Service)
	}
	return state
}

// askDNS sends the first datagrams of many flows, and waits until the director has forgotten those.
func (s *segment) askDNS(t *testing.T) (flows []*udpFlow) {
	t.Helper()
	for _, rs := range s.servers {
		rs.serveUDP(t, "192.168.57.100:53")
	}
	for range 300 {
		flows = append(flows, s.client.newUDPFlow(t, "192.168.57.100:53"))
	}
	time.Sleep(2 * time.Second)
	return flows
}

// wantMovedSlots wants as many forgotten flows to come elsewhere as the plan says of the table of dns.
func wantMovedSlots(t *testing.T, plan []api.MovedSlots, flows []*udpFlow) {
	t.Helper()
	i := slices.IndexFunc(plan, func(m api.MovedSlots) bool { return m.Service == "dns" })
	if i < 0 || plan[i].Percent < 100.0/3-1 || plan[i].Percent > 100.0/3+5 {
		t.Fatalf("slots that move: %+v, want those of one of three real servers of dns and a few more", plan)
	}
	moved := 0
	for _, f := range flows {
		if f.ask(t) != f.server {
			moved++
		}
	}
	percent := 100 * float64(moved) / float64(len(flows))
	t.Logf("%.1f %% of the flows come elsewhere, planned: %.1f %%", percent, plan[i].Percent)
	if math.Abs(percent-plan[i].Percent) > 11 { // four standard deviations
		t.Errorf("%.1f %% of the flows come elsewhere, planned: %.1f %%", percent, plan[i].Percent)
	}
}

func TestGenerationsAndRollback(t *testing.T) {
	d := startDirector(t, settings{services: web})
	load := d.segment.startLoad(t, 2, 5*time.Millisecond, webURL)
	d.waitServers("web", "up", 3)
	first := d.desired()
	d.setServer("web", d.segment.servers[0].address, 7)  // generation 2
	d.reload(web + unchecked[len("services:\n"):])       // 3
	d.setServer("echo", d.segment.servers[1].address, 5) // 4

	var list api.GenerationList
	d.must(http.MethodGet, "/v1/generations", nil, &list)
	var numbers []uint64
	for _, g := range list.Generations {
		numbers = append(numbers, g.Generation)
		if g.InForce != (g.Generation == 4) || g.Services != 1+int(g.Generation)/3 {
			t.Errorf("generation %+v: want 4 in force, and two services from 3 on", g)
		}
	}
	if !slices.Equal(numbers, []uint64{1, 2, 3, 4}) {
		t.Errorf("generations %v, want 1 to 4, the one in force last", numbers)
	}

	d.command("rollback", "1", "--dry-run")
	if got := d.status().Generation; got != 4 {
		t.Errorf("rollback --dry-run made generation %d", got)
	}
	d.command("rollback", "1")
	if status := d.status(); status.Generation != 5 || !reflect.DeepEqual(d.desired(), first) {
		t.Errorf("after the rollback generation %d is in force: %+v; want 5, which says what 1 said: %+v", status.Generation, d.desired(), first)
	}
	d.waitServers("web", "up", 3)
	if err := d.call(http.MethodPost, "/v1/generations/99/rollback", nil, nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("rollback to a generation that there is not: %v, want 404", err)
	}
	wantNoFailure(t, load.stop())
}

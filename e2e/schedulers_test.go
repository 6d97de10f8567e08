package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"turnout/sched"
)

// held is how many connections a scheduler gives away in a row while none ends.
const held = 60

// definition is what becomes of them by the definition of a scheduler.
type definition struct {
	scheduler string
	weights   [3]int // of the three real servers
	want      [3]int // connections of each; anyOne: of one of them
	slack     int    // more or fewer than that: chance, or counts that are up to 100 ms old
	idleFirst bool   // the first three go to one each
	refills   bool   // who loses all connections gets as many of the next ones
}

var anyOne = [3]int{held, 0, 0}

var definitions = []definition{
	{scheduler: "maglev", weights: [3]int{1, 2, 3}, want: [3]int{10, 20, 30}, slack: 16}, // four standard deviations
	{scheduler: "rr", weights: [3]int{1, 2, 3}, want: [3]int{20, 20, 20}, slack: 1},
	{scheduler: "wrr", weights: [3]int{1, 2, 3}, want: [3]int{10, 20, 30}, slack: 1},
	{scheduler: "lc", weights: [3]int{1, 2, 3}, want: [3]int{20, 20, 20}, slack: 3, refills: true},
	{scheduler: "wlc", weights: [3]int{1, 2, 3}, want: [3]int{10, 20, 30}, slack: 3, refills: true},
	{scheduler: "sed", weights: [3]int{1, 2, 3}, want: [3]int{10, 20, 30}, slack: 3, refills: true},
	{scheduler: "nq", weights: [3]int{1, 2, 3}, want: [3]int{10, 20, 30}, slack: 3, idleFirst: true, refills: true},
	{scheduler: "sh", weights: [3]int{1, 2, 3}, want: anyOne},
	{scheduler: "dh", weights: [3]int{1, 2, 3}, want: anyOne},
	{scheduler: "fo", weights: [3]int{1, 2, 3}, want: [3]int{0, 0, held}},
	{scheduler: "ovf", weights: [3]int{10, 20, 40}, want: [3]int{0, 20, 40}, slack: 4, refills: true},
	{scheduler: "twos", weights: [3]int{1, 2, 3}, want: [3]int{10, 20, 30}, slack: 8},
}

// service is one of the definition's scheduler, on a port of its own.
func (def *definition) service(port int) string {
	return fmt.Sprintf(`  - name: %s
    vip: 192.168.57.100
    protocol: tcp
    port: %d
    scheduler: %s
    health_check: {type: tcp, port: 80, interval: 1s, timeout: 900ms, rise: 1, fall: 10}
    real_servers: [{address: 192.168.57.121, weight: %d}, {address: 192.168.57.122, weight: %d}, {address: 192.168.57.123, weight: %d}]
`, def.scheduler, port, def.scheduler, def.weights[0], def.weights[1], def.weights[2])
}

func TestSchedulersShareAsDefined(t *testing.T) {
	s := needSegment(t)
	services := "services:\n"
	for i := range definitions {
		services += definitions[i].service(firstPort + i)
		s.serveEcho(t, firstPort+i)
	}
	for _, name := range sched.Names() {
		if !slices.ContainsFunc(definitions, func(def definition) bool { return def.scheduler == name }) {
			t.Errorf("what %s does is not shown", name)
		}
	}
	d := startDirector(t, settings{services: services})
	for i := range definitions {
		def := &definitions[i]
		t.Run(def.scheduler, func(t *testing.T) {
			d.waitServers(def.scheduler, "up", 3)
			address := serviceAddress(firstPort + i)
			connections := s.client.connectMany(t, held, address)
			def.judge(t, s, connections)
			if def.idleFirst {
				wantServers(t, connections[:3], s.servers...)
			}
			if def.refills {
				d.wantRefill(t, def.scheduler, address, connections)
			}
		})
	}
}

func (def *definition) judge(t *testing.T, s *segment, connections []*connection) {
	t.Helper()
	var got [3]int
	for i, rs := range s.servers {
		for _, c := range connections {
			if c.server == rs.name {
				got[i]++
			}
		}
	}
	t.Logf("weights %v: connections %v", def.weights, got)
	if def.want == anyOne {
		slices.SortFunc(got[:], func(a, b int) int { return b - a })
	}
	for i := range got {
		if difference := got[i] - def.want[i]; max(difference, -difference) > def.slack {
			t.Errorf("%s by the weights %v: connections %v, want %v within %d", def.scheduler, def.weights, got, def.want, def.slack)
			return
		}
	}
}

// wantRefill ends the connections of the last real server, and wants it to get the next ones.
func (d *director) wantRefill(t *testing.T, service, address string, connections []*connection) {
	t.Helper()
	rs := d.segment.servers[2]
	ended := 0
	for _, c := range connections {
		if c.server == rs.name {
			c.Close()
			ended++
		}
	}
	eventually(t, 5*time.Second, rs.name+" has no active flow", func() bool { return d.realServer(service, rs).ActiveFlows == 0 })
	time.Sleep(250 * time.Millisecond) // counts may be 100 ms old
	back := 0
	for _, c := range d.segment.client.connectMany(t, ended, address) {
		if c.server == rs.name {
			back++
		}
	}
	if back < ended*8/10 {
		t.Errorf("%s lost %d connections and got %d of the next %d", rs.name, ended, back, ended)
	}
}

func TestSchedulersBySourceKeepClientsApart(t *testing.T) {
	s := needSegment(t)
	services := "services:\n"
	byAddress := []string{"sh", "maglev"}
	for i, scheduler := range byAddress {
		def := definition{scheduler: scheduler, weights: [3]int{1, 1, 1}}
		services += strings.Replace(def.service(firstPort+i), "    scheduler: maglev\n", "    scheduler: maglev\n    maglev: {hash: source}\n", 1)
		s.serveEcho(t, firstPort+i)
	}
	d := startDirector(t, settings{services: services})
	for i, scheduler := range byAddress {
		t.Run(scheduler, func(t *testing.T) {
			d.waitServers(scheduler, "up", 3)
			address := serviceAddress(firstPort + i)
			var first []*connection
			for _, client := range otherClients() {
				connections := s.client.connectManyFrom(t, 4, client, address)
				wantOneServer(t, client.String(), connections)
				first = append(first, connections[0])
			}
			wantServers(t, first, s.servers...)
		})
	}
}

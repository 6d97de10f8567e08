package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"turnout/mgmt/store"
)

// onDowns are what can become of the flows of a real server that is down, and the ports of nginx for it.
var onDowns = map[store.OnDown]int{store.OnDownReschedule: 81, store.OnDownKeep: 82, store.OnDownDrop: 83}

func TestFlowsOfADownServer(t *testing.T) {
	services := "services:\n"
	for onDown, port := range onDowns {
		services += fmt.Sprintf(`  - name: %s
    vip: 192.168.57.100
    protocol: tcp
    port: %d
    on_down: %[1]s
    health_check: {type: http, port: 80, interval: 300ms, timeout: 200ms, rise: 2, fall: 2}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}]
`, onDown, port)
	}
	d := startDirector(t, settings{services: services})
	s := d.segment
	rs1, rs2 := s.servers[0], s.servers[1]
	mine := map[store.OnDown]*connection{}
	for onDown, port := range onDowns {
		d.waitServers(string(onDown), "up", 2)
		for mine[onDown] == nil {
			if c := s.client.browseMany(t, 1, serviceAddress(port))[0]; c.server == rs1.name {
				mine[onDown] = c
			}
		}
	}
	// It hangs, so that its kernel keeps the connections.
	if err := rs1.signalNginx(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rs1.signalNginx(syscall.SIGCONT) })
	for onDown := range onDowns {
		d.waitServers(string(onDown), "down", 1)
	}
	before := d.status().Books.Drops["real_server_down"]
	for onDown, c := range mine {
		wantServers(t, s.client.browseMany(t, 5, serviceAddress(onDowns[onDown])), rs2)
		c.timeout = 400 * time.Millisecond
		if _, err := c.page(); onDown == store.OnDownReschedule && !isReset(err) || onDown != store.OnDownReschedule && !isTimeout(err) {
			t.Errorf("%s: on the connection to %s, which is down: %v", onDown, rs1.name, err)
		}
	}
	if d.status().Books.Drops["real_server_down"] == before {
		t.Error("drop: nothing was counted as real_server_down")
	}
	if packets := d.realServer("keep", rs1).Packets; packets < 4 {
		t.Errorf("keep: %s got %d packets, want those of the connection", rs1.name, packets)
	}

	if err := rs1.signalNginx(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for onDown, c := range mine {
		d.waitServers(string(onDown), "up", 2)
		if onDown == store.OnDownReschedule {
			continue
		}
		c.timeout = talkTimeout
		if response, err := c.answer(); err != nil || response != rs1.name {
			t.Errorf("%s: once %s is back the page comes from %q: %v", onDown, rs1.name, response, err)
		}
	}
}

// dnsService has UDP real servers that are asked by UDP; without a reply they are down.
const dnsService = `services:
  - name: dns
    vip: 192.168.57.100
    protocol: udp
    port: 53
    health_check: {type: udp, port: 53, interval: 300ms, timeout: 200ms, rise: 2, fall: 2}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
`

func TestUDPFlowsLeaveADeadServer(t *testing.T) {
	s := needSegment(t)
	ends := map[string]func(){}
	for _, rs := range s.servers {
		ofVIP, ofRIP := rs.serveUDP(t, "192.168.57.100:53"), rs.serveUDP(t, rs.address.String()+":53")
		ends[rs.name] = func() { ofVIP(); ofRIP() }
	}
	d := startDirector(t, settings{services: dnsService})
	d.waitServers("dns", "up", 3)
	var flows []*udpFlow
	for range 12 {
		flows = append(flows, s.client.newUDPFlow(t, "192.168.57.100:53"))
	}
	dead := flows[0].server
	ends[dead]()
	d.waitServers("dns", "down", 1)
	for _, f := range flows {
		switch server := f.ask(t); {
		case f.server == dead && server == dead:
			t.Errorf("a flow is still with %s, which is dead", dead)
		case f.server != dead && server != f.server:
			t.Errorf("a flow moved from %s, which lives, to %s", f.server, server)
		}
	}
	if n := d.service("dns").Live.RescheduledFlows; n == 0 {
		t.Error("no flow was counted as rescheduled")
	}
}

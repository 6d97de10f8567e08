package e2e

import (
	"fmt"
	"net/netip"
	"time"

	"turnout/mgmt/api"
)

const clientsPort, networksPort = 7011, 7012

// persistent are two services that would send every connection of a client to another real server, if they did not
// remember it: the one by its address, the other by its network. Closed flows are forgotten soon.
var persistent = fmt.Sprintf(`  - name: clients
    vip: 192.168.57.100
    protocol: tcp
    port: %d
    scheduler: rr
    persistence: 2s
    timeouts: {fin_wait: 1s}
    health_check: {type: none}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
  - name: networks
    vip: 192.168.57.100
    protocol: tcp
    port: %d
    scheduler: rr
    persistence: 10m
    persistence_prefix: 24
    health_check: {type: none}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
`, clientsPort, networksPort)

func testPersistence(d *director) {
	t, client := d.t, d.segment.client
	d.waitServers("clients", "up", 3)
	d.waitServers("networks", "up", 3)
	clients := otherClients()[:8]
	var neighbours []*connection
	for _, source := range clients {
		neighbours = append(neighbours, client.connectManyFrom(t, 2, source, serviceAddress(networksPort))...)
	}
	wantOneServer(t, "a network of 24 bits", neighbours)

	before := map[netip.Addr]string{}
	var all []*connection
	for range 3 {
		all = append(all, d.visitFrom(clients, before)...)
	}
	wantServers(t, all, d.segment.servers...)
	time.Sleep(2500 * time.Millisecond) // of live flows nothing may be forgotten
	all = append(all, d.visitFrom(clients, before)...)
	for _, service := range []string{"clients", "networks"} {
		d.wantDrainHonoured(service, map[string]int{"clients": clientsPort, "networks": networksPort}[service])
	}

	for _, c := range all {
		c.Close()
	}
	time.Sleep(time.Second + sweepTime + 2*time.Second) // fin_wait, and persistence
	moved := 0
	for _, source := range clients {
		if client.connectManyFrom(t, 1, source, serviceAddress(clientsPort))[0].server != before[source] {
			moved++
		}
	}
	if moved == 0 {
		t.Errorf("no client was forgotten")
	}
}

// visitFrom opens a connection from each address, and wants it to go to the real server that it went to before.
func (d *director) visitFrom(clients []netip.Addr, before map[netip.Addr]string) (all []*connection) {
	d.t.Helper()
	for _, source := range clients {
		c := d.segment.client.connectManyFrom(d.t, 1, source, serviceAddress(clientsPort))[0]
		if server := before[source]; server != "" && server != c.server {
			d.t.Errorf("%v was on %s, its next connection went to %s", source, server, c.server)
		}
		before[source] = c.server
		all = append(all, c)
	}
	return all
}

// wantDrainHonoured drains the real server that the client is kept on. It must be kept on another one from then on, and
// its old connections must go on.
func (d *director) wantDrainHonoured(service string, port int) {
	t, client, address := d.t, d.segment.client, serviceAddress(port)
	t.Helper()
	old := client.connectMany(t, 2, address)
	rs := d.segment.byName(wantOneServer(t, service, old))
	d.drain(service, rs, api.Drain{})
	next := client.connectMany(t, 6, address)
	if moved := wantOneServer(t, service, next); moved == rs.name {
		t.Errorf("%s: a client was kept on %s, which is drained", service, rs.name)
	}
	d.undrain(service, rs)
	if moved := wantOneServer(t, service, append(next, client.connectMany(t, 2, address)...)); moved == rs.name {
		t.Errorf("%s: a client went back to %s, which is no longer drained", service, rs.name)
	}
	for _, c := range old {
		if err := c.talk(1000); err != nil {
			t.Errorf("%s: an old connection to %s, which was drained: %v", service, rs.name, err)
		}
	}
}

package e2e

import (
	"fmt"
	"time"
)

const limitedPort = 7010

// limited has a real server that may have ten flows, and after that none until there are fewer than six. Closed ones are
// forgotten soon.
var limited = fmt.Sprintf(`  - name: limited
    vip: 192.168.57.100
    protocol: tcp
    port: %d
    scheduler: rr
    timeouts: {fin_wait: 1s}
    health_check: {type: none}
    real_servers: [{address: 192.168.57.121, upper_threshold: 10, lower_threshold: 6}, {address: 192.168.57.122}]
`, limitedPort)

func testConnectionLimits(d *director) {
	t, s, address := d.t, d.segment, serviceAddress(limitedPort)
	d.waitServers("limited", "up", 2)
	rs1, rs2 := s.servers[0], s.servers[1]
	var of1 []*connection
	for range 40 {
		c := s.client.connectMany(t, 1, address)[0]
		if c.server == rs1.name {
			of1 = append(of1, c)
		}
		time.Sleep(20 * time.Millisecond)
	}
	// Flows are counted every 100 ms, in which it gets every second of five.
	if len(of1) < 10 || len(of1) > 10+6 {
		t.Errorf("%s has %d connections, want 10, or a few more until they are counted", rs1.name, len(of1))
	}
	d.waitServers("limited", "overloaded", 1)
	wantServers(t, s.client.connectMany(t, 10, address), rs2)

	for ; len(of1) > 6; of1 = of1[1:] {
		of1[0].Close()
	}
	eventually(t, sweepTime, "6 flows are left", func() bool {
		live := d.realServer("limited", rs1)
		return live.ActiveFlows+live.InactiveFlows == 6
	})
	time.Sleep(300 * time.Millisecond)
	if state := d.realServer("limited", rs1).State; state != "overloaded" {
		t.Errorf("with 6 flows %s is %s, want it overloaded until there are fewer", rs1.name, state)
	}
	wantServers(t, s.client.connectMany(t, 10, address), rs2)

	of1[0].Close()
	d.waitServers("limited", "up", 2)
	wantServers(t, s.client.connectMany(t, 4, address), rs1, rs2)
}

package e2e

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// nobodyListens has services whose real server is down: of two the clients are told.
const nobodyListens = `services:
  - name: tcp
    vip: 192.168.57.100
    protocol: tcp
    port: 7
    no_real_server: port_unreachable
    health_check: {type: tcp, interval: 300ms, timeout: 200ms}
    real_servers: [{address: 192.168.57.121}]
  - name: udp
    vip: 192.168.57.100
    protocol: udp
    port: 53
    no_real_server: port_unreachable
    health_check: {type: tcp, port: 7, interval: 300ms, timeout: 200ms}
    real_servers: [{address: 192.168.57.121}]
  - name: silent
    vip: 192.168.57.100
    protocol: tcp
    port: 8
    health_check: {type: tcp, interval: 300ms, timeout: 200ms}
    real_servers: [{address: 192.168.57.121}]
`

func TestNoRealServerIsToldAtOnce(t *testing.T) {
	d := startDirector(t, settings{services: nobodyListens})
	for _, service := range []string{"tcp", "udp", "silent"} {
		d.waitServers(service, "down", 1)
	}
	client := d.segment.client
	start := time.Now()
	conn, err := client.dial("tcp", "192.168.57.100:7")
	if took := time.Since(start); !errors.Is(err, syscall.ECONNREFUSED) || took > 500*time.Millisecond {
		t.Errorf("tcp: %v after %v, want it refused at once", err, took)
	}
	if err == nil {
		conn.Close()
	}
	udp, err := client.dial("udp", "192.168.57.100:53")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if _, err := udp.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	_ = udp.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := udp.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("udp: %v, want it refused at once", err)
	}
	before := d.status().Books.Drops["no_real_server"]
	if _, err := client.dialWithin(500*time.Millisecond, "192.168.57.100:8"); !isTimeout(err) {
		t.Errorf("silent: %v, want no answer at all", err)
	}
	if d.status().Books.Drops["no_real_server"] == before {
		t.Error("silent: nothing was counted as no_real_server")
	}
}

// sorry has a quorum of weight 3 with a hysteresis of 1: it is lost below 2 and regained at 4.
const sorry = `services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    quorum: 3
    hysteresis: 1
    sorry_server: {address: 192.168.57.123}
    health_check: {type: http, interval: 300ms, timeout: 200ms, rise: 1, fall: 1}
    real_servers: [{address: 192.168.57.121, weight: 2}, {address: 192.168.57.122, weight: 2}]
`

func TestSorryServerByQuorumWithHysteresis(t *testing.T) {
	d := startDirector(t, settings{services: sorry})
	s := d.segment
	rs1, rs2, rs3 := s.servers[0], s.servers[1], s.servers[2]
	for _, rs := range s.servers[:2] {
		t.Cleanup(func() { _ = rs.breakPages(false) })
	}
	d.waitServers("web", "up", 2)
	wantServers(t, s.client.browseMany(t, 20, "192.168.57.100:80"), rs1, rs2)
	for _, step := range []struct {
		server *server
		broken bool
		quorum bool
		up     []*server // who serves then
	}{
		{rs1, true, true, []*server{rs2}},
		{rs2, true, false, []*server{rs3}},
		{rs1, false, false, []*server{rs3}},
		{rs2, false, true, []*server{rs1, rs2}},
	} {
		if err := step.server.breakPages(step.broken); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, step.server.name+"'s state is in force", func() bool {
			return (d.realServer("web", step.server).State == "down") == step.broken
		})
		live := d.service("web").Live
		if live.Quorum != step.quorum {
			t.Errorf("with weight %d up after a change of %s the quorum is %v, want %v", live.UsableWeight, step.server.name, live.Quorum, step.quorum)
		}
		wantServers(t, s.client.browseMany(t, 20, "192.168.57.100:80"), step.up...)
	}
	if !d.told("quorum", "web", netip.Addr{}, "lost") || !d.told("quorum", "web", netip.Addr{}, "has its quorum") {
		t.Errorf("the events do not tell of the quorum: %v", d.events("quorum"))
	}
}

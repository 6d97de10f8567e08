package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"turnout/mgmt/store"
)

// echo is a service of the first two real servers' echo, with checks that forgive as web's do.
const echo = `services:
  - name: echo
    vip: 192.168.57.100
    protocol: tcp
    port: 7
    scheduler: maglev
    health_check: {type: tcp, interval: 1s, timeout: 900ms, rise: 1, fall: 10}
    real_servers:
      - {address: 192.168.57.121}
      - {address: 192.168.57.122}
`

// setServer puts a real server with a weight into a service.
func (d *director) setServer(service string, address netip.Addr, weight uint16) {
	d.t.Helper()
	d.must(http.MethodPut, realServerPath(service, address), store.RealServer{Address: address, Weight: weight}, nil)
}

func realServerPath(service string, address netip.Addr) string {
	return fmt.Sprintf("/v1/services/%s/real-servers/%s", service, address)
}

func TestHundredConnectionsSurviveAddingAndDraining(t *testing.T) {
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	d := startDirector(t, settings{services: echo})
	d.waitServers("echo", "up", 2)
	wires := s.tapServers(t)
	rs1, rs2, rs3 := s.servers[0], s.servers[1], s.servers[2]

	old := s.client.connectMany(t, 100, "192.168.57.100:7")
	stop := chat(t, old)
	pause := func() { time.Sleep(300 * time.Millisecond) }
	pause()

	d.setServer("echo", rs3.address, 1)
	d.waitServers("echo", "up", 3)
	wantServers(t, s.client.connectMany(t, 60, "192.168.57.100:7"), rs1, rs2, rs3)
	pause()

	d.setServer("echo", rs1.address, 0)
	d.waitServers("echo", "draining", 1)
	wantServers(t, s.client.connectMany(t, 60, "192.168.57.100:7"), rs2, rs3)
	pause()

	d.setServer("echo", rs2.address, 5)
	d.setServer("echo", rs3.address, 2)
	pause()

	d.setServer("echo", rs1.address, 1)
	d.waitServers("echo", "up", 3)
	pause()
	stop()
	wantOneServerEach(t, s, wires, old)
}

// wantServers wants each of the servers, and no other, to have greeted some of the connections.
func wantServers(t *testing.T, connections []*connection, servers ...*server) {
	t.Helper()
	counts := map[string]int{}
	for _, c := range connections {
		counts[c.server]++
	}
	rest := len(connections)
	for _, rs := range servers {
		if counts[rs.name] == 0 {
			t.Errorf("no new connection went to %s: %v", rs.name, counts)
		}
		rest -= counts[rs.name]
	}
	if rest > 0 {
		t.Errorf("%d new connections went to other real servers: %v", rest, counts)
	}
}

// tapServers captures what comes to the VIPs at each real server.
func (s *segment) tapServers(t *testing.T) (wires []*wire) {
	t.Helper()
	for _, rs := range s.servers {
		wires = append(wires, rs.tap(t, "eth0", filterFromOrTo(nil, vip, vip2)))
	}
	return wires
}

// wantOneServerEach wants the packets of each connection to vip at its real server, and at no other. A bridge
// shows frames for a MAC that it does not know to every host; those count for none.
func wantOneServerEach(t *testing.T, s *segment, wires []*wire, connections []*connection) {
	t.Helper()
	for _, c := range connections {
		for i, rs := range s.servers {
			n := len(wires[i].frames(func(f []byte) bool {
				return isTo(vip, c.service())(f) && sourcePort(f) == c.port() && dstMAC(f) == rs.mac
			}))
			if (n > 0) != (rs.name == c.server) {
				t.Errorf("%s got %d packets of the connection from port %d, which is %s's", rs.name, n, c.port(), c.server)
			}
		}
	}
}

func TestPacketsArriveAsSentButForTheirMACs(t *testing.T) {
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	d := startDirector(t, settings{services: echo})
	d.waitServers("echo", "up", 2)
	// On a busy machine packets get lost on the way, and are sent again: those that arrive are judged, and in one try
	// of three all must.
	for try := 1; ; try++ {
		sent, arrived := d.talkAndCapture()
		wantSamePackets(t, sent, arrived)
		if len(sent) < 10*8 {
			t.Errorf("only %d packets were seen", len(sent))
		}
		if len(sent) == len(arrived) {
			return
		}
		if try == 3 {
			t.Fatalf("%d packets were sent, %d arrived", len(sent), len(arrived))
		}
	}
}

// talkAndCapture returns the frames of ten conversations, as the client sent them and as they came to real servers.
func (d *director) talkAndCapture() (sent, arrived []seen) {
	d.t.Helper()
	s := d.segment
	atClient := s.client.tap(d.t, "eth0", filterFromOrTo(nil, vip))
	atServers := s.tapServers(d.t)
	for _, c := range s.client.connectMany(d.t, 10, "192.168.57.100:7") {
		for _, size := range []int{1, 13, 1448, 1449, 20_000} {
			if err := c.talk(size); err != nil {
				d.t.Fatal(err)
			}
		}
		c.Close()
	}
	sent = settled(isTo(vip, echoPort), atClient)
	for i, rs := range s.servers {
		toServer := func(f []byte) bool { return isTo(vip, echoPort)(f) && dstMAC(f) == rs.mac && source(f) != d.dip } // no path probes
		arrived = append(arrived, settled(toServer, atServers[i])...)
	}
	for _, f := range sent {
		wantMACs(d.t, "as sent", f.frame, clientMAC, d.mac)
	}
	for _, f := range arrived {
		wantMACs(d.t, "as arrived", f.frame, d.mac, dstMAC(f.frame))
	}
	return sent, arrived
}

// settled is what was captured once nothing more comes: connections that are closed have last words.
func settled(keep func([]byte) bool, w *wire) (frames []seen) {
	for before := -1; before != len(frames); time.Sleep(200 * time.Millisecond) {
		before, frames = len(frames), w.frames(keep)
	}
	return frames
}

// wantSamePackets wants all that arrived to be what was sent, each once, byte for byte behind the MACs.
func wantSamePackets(t *testing.T, sent, arrived []seen) {
	t.Helper()
	packets := map[string]int{}
	for _, f := range sent {
		packets[string(f.frame[12:])]++
	}
	for _, f := range arrived {
		packet := string(f.frame[12:])
		if packets[packet]--; packets[packet] < 0 {
			t.Errorf("was not sent, but arrived: % x", packet)
		}
	}
}

func wantMACs(t *testing.T, where string, frame []byte, from, to string) {
	t.Helper()
	if srcMAC(frame) != from || dstMAC(frame) != to {
		t.Errorf("%s: %s, want %s > %s", where, describe(frame), from, to)
	}
}

package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// mixed has a service of each kind: UDP, TCP on one port, and every other port of a VIP.
const mixed = `services:
  - {name: dns, vip: 192.168.57.100, protocol: udp, port: 53, health_check: {type: none}, real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]}
  - {name: web2, vip: 192.168.57.101, protocol: tcp, port: 80, real_servers: [{address: 192.168.57.123}]}
  - {name: any, vip: 192.168.57.101, protocol: tcp, port: 0, health_check: {type: tcp, port: 80}, real_servers: [{address: 192.168.57.122}, {address: 192.168.57.123}]}
`

// serveUDP answers every datagram with the server's name, a colon and what came, until the test or the returned function
// ends it.
func (rs *server) serveUDP(t *testing.T, address string) (end func()) {
	t.Helper()
	c, err := rs.listenUDP(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo([]byte(rs.name+":"+string(b[:n])), from)
		}
	}()
	return func() { c.Close() }
}

// udpFlow is a client's socket for a UDP service.
type udpFlow struct {
	net.Conn
	asked  int
	server string // who answered first
}

func (h *host) newUDPFlow(t *testing.T, address string) *udpFlow {
	t.Helper()
	conn, err := h.dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	f := &udpFlow{Conn: conn}
	f.server = f.ask(t)
	return f
}

// ask sends a datagram, and returns who answered.
func (f *udpFlow) ask(t *testing.T) (server string) {
	t.Helper()
	f.asked++
	question := fmt.Sprintf("question %d", f.asked)
	if _, err := f.Write([]byte(question)); err != nil {
		t.Fatal(err)
	}
	if err := f.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2048)
	n, err := f.Read(b)
	if err != nil {
		t.Fatalf("datagram %d: %v", f.asked, err)
	}
	server, answer, _ := strings.Cut(string(b[:n]), ":")
	if answer != question {
		t.Errorf("datagram %d: %s answers %q, want %q", f.asked, server, answer, question)
	}
	return server
}

func TestUDPService(t *testing.T) {
	s := needSegment(t)
	for _, rs := range s.servers {
		rs.serveUDP(t, "192.168.57.100:53")
	}
	d := startDirector(t, settings{services: mixed})
	d.waitServers("dns", "up", 3)
	counts := map[string]int{}
	for range 40 {
		f := s.client.newUDPFlow(t, "192.168.57.100:53")
		for range 4 {
			if server := f.ask(t); server != f.server {
				t.Errorf("a flow went to %s and %s", f.server, server)
			}
		}
		counts[f.server]++
	}
	if len(counts) != 3 {
		t.Errorf("40 clients were served by %v, want all three", counts)
	}
	if live := d.service("dns").Live; live.Connections != 40 || live.Packets != 200 {
		t.Errorf("turnout counted %d flows and %d packets, want 40 and 200", live.Connections, live.Packets)
	}
}

func TestServiceOfEveryPort(t *testing.T) {
	s := needSegment(t)
	for _, port := range []int{echoPort, 9000} {
		s.serveEcho(t, port)
	}
	d := startDirector(t, settings{services: mixed})
	d.waitServers("any", "up", 2)
	d.waitServers("web2", "up", 1)
	rs2, rs3 := s.servers[1], s.servers[2]
	for _, address := range []string{"192.168.57.101:7", "192.168.57.101:9000"} {
		connections := s.client.connectMany(t, 20, address)
		wantServers(t, connections, rs2, rs3)
		for _, c := range connections {
			if err := c.talk(100); err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
	load := s.startLoad(t, 4, time.Millisecond, "http://192.168.57.101/")
	time.Sleep(300 * time.Millisecond)
	visits := load.stop()
	wantNoFailure(t, visits)
	if served(visits)["rs3"] != len(visits) || len(visits) < 10 {
		t.Errorf("port 80 has a service of its own, of rs3 alone, and was served by %v", served(visits))
	}
}

func TestPortWithoutServiceIsSilent(t *testing.T) {
	d := startDirector(t, settings{services: mixed})
	before := d.status().Books.Drops["no_service"]
	_, err := d.segment.client.dialWithin(1500*time.Millisecond, "192.168.57.100:81")
	if !isTimeout(err) {
		t.Errorf("the client got %v, want no answer at all", err)
	}
	if d.status().Books.Drops["no_service"] == before {
		t.Error("nothing was counted as no_service")
	}
}

func TestRealServerIsAClientOfAnotherVIP(t *testing.T) {
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	d := startDirector(t, settings{services: mixed})
	d.waitServers("any", "up", 2)
	rs1 := s.servers[0] // serves 192.168.57.100, not .101
	connections := rs1.connectMany(t, 20, "192.168.57.101:7")
	wantServers(t, connections, s.servers[1], s.servers[2])
	for _, c := range connections {
		if err := c.talk(5000); err != nil {
			t.Error(err)
		}
	}
	if loops := d.status().Books.Drops["loop"]; loops > 0 {
		t.Errorf("%d packets were taken for a loop", loops)
	}
}

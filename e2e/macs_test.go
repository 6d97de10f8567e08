package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"turnout/mgmt/store"
)

// unchecked is a service whose real servers do not talk to the director.
const unchecked = `services:
  - name: echo
    vip: 192.168.57.100
    protocol: tcp
    port: 7
    health_check: {type: none}
    real_servers:
      - {address: 192.168.57.122}
`

func TestStaticMACOfServerWithoutARP(t *testing.T) {
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	rs2 := s.servers[1]
	silence := func(arpIgnore string) {
		if err := rs2.sysctl("net/ipv4/conf/eth0/arp_ignore=" + arpIgnore); err != nil {
			t.Error(err)
		}
	}
	silence("8") // no replies for any local address
	t.Cleanup(func() { silence("1") })

	d := startDirector(t, settings{services: unchecked})
	d.waitServers("echo", "no_mac", 1)
	d.must(http.MethodPut, realServerPath("echo", rs2.address), store.RealServer{Address: rs2.address, Weight: 1, MAC: rs2.mac}, nil)
	d.waitServers("echo", "up", 1)
	for _, c := range s.client.connectMany(t, 5, "192.168.57.100:7") {
		if err := c.talk(3000); err != nil {
			t.Error(err)
		}
	}
}

func TestServerWithNewMACIsFollowed(t *testing.T) {
	const limit = 2 * time.Second
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	rs2 := s.servers[1]
	d := startDirector(t, settings{services: unchecked})
	d.waitServers("echo", "up", 1)
	c := s.client.connectMany(t, 1, "192.168.57.100:7")[0]
	var took []time.Duration
	for _, mac := range []string{"02:00:00:00:02:22", rs2.mac} {
		time.Sleep(1100 * time.Millisecond) // a kernel believes no second MAC within a second (locktime)
		if err := rs2.setMAC(mac); err != nil {
			t.Fatal(err)
		}
		took = append(took, eventually(t, 15*time.Second, "the director sends to "+mac, func() bool {
			return d.service("echo").Live.RealServers[0].MAC == mac
		}))
		if err := c.talk(3000); err != nil {
			t.Errorf("an old connection, after the real server's MAC changed: %v", err)
		}
	}
	t.Logf("new MACs were followed after %v", took)
	if slices.Min(took) > limit {
		t.Errorf("a new MAC was followed after %v at best, want at most %v", slices.Min(took), limit)
	}
}

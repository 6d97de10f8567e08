package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/probe"
	"turnout/mgmt/store"
)

// fault is something wrong with the way to a real server. The check of its RIP passes all the while.
type fault struct {
	name          string
	want          probe.Diagnosis
	breaks, mends func(*director, *server) error
}

// nobodysMAC is one that no host on the segment has.
const nobodysMAC = "02:00:00:00:09:99"

var faults = []fault{
	{"the VIP is not on lo", probe.VIPNotOnRealServer, removeVIP, addVIP},
	{"nor is it, and the host forwards", probe.VIPNotOnRealServer,
		func(d *director, rs *server) error {
			return errors.Join(rs.sysctl("net/ipv4/ip_forward=1"), removeVIP(d, rs))
		},
		func(d *director, rs *server) error {
			return errors.Join(addVIP(d, rs), rs.sysctl("net/ipv4/ip_forward=0"))
		},
	},
	{"the service is bound to the RIP", probe.ServiceNotOnVIP,
		func(_ *director, rs *server) error { return rs.rebind(rs.address.String() + ":") },
		func(_ *director, rs *server) error { return rs.rebind("") },
	},
	{"a packet filter drops what comes from the VIP", probe.ReplyPathBlocked, filtered("output ip saddr %v drop"), unfiltered},
	{"a packet filter drops connections to the VIP", probe.ReplyPathBlocked, filtered("input ip daddr %v tcp dport 80 drop"), unfiltered},
	{"a packet filter refuses them", probe.ReplyPathBlocked, filtered("input ip daddr %v tcp dport 80 reject"), unfiltered},
	{"there is no route from the VIP", probe.ReplyPathBlocked,
		func(_ *director, rs *server) error {
			return rs.ip("rule add from " + vip.String() + " pref 5 blackhole")
		},
		func(_ *director, rs *server) error { return rs.ip("rule del pref 5") },
	},
	{"its MAC is set to nobody's", probe.WrongMAC,
		func(d *director, rs *server) error { return d.setRealServer(rs, nobodysMAC) },
		func(d *director, rs *server) error { return d.setRealServer(rs, "") },
	},
}

func removeVIP(_ *director, rs *server) error {
	return rs.ip("address del " + vip.String() + "/32 dev lo")
}
func addVIP(_ *director, rs *server) error {
	return rs.ip("address add " + vip.String() + "/32 dev lo")
}

// filtered has a packet filter drop at a hook what fits a rule about the VIP.
func filtered(rule string) func(*director, *server) error {
	hook, rest, _ := strings.Cut(rule, " ")
	return func(_ *director, rs *server) error {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(fmt.Sprintf("table ip path { chain c { type filter hook %s priority 0; %s; }; }", hook, fmt.Sprintf(rest, vip)))
		_, err := rs.runCommand(cmd)
		return err
	}
}

func unfiltered(_ *director, rs *server) error {
	_, err := rs.run("nft", "delete", "table", "ip", "path")
	return err
}

// rebind has nginx listen elsewhere; it is gone for a moment.
func (rs *server) rebind(address string) error {
	rs.stopNginx()
	rs.bind = address
	return rs.startNginx()
}

func (d *director) setRealServer(rs *server, mac string) error {
	return d.call(http.MethodPut, realServerPath("web", rs.address), store.RealServer{Address: rs.address, Weight: 1, MAC: mac}, nil)
}

// A fault is named, the real server leaves service though its RIP answers, no visit fails from then on, and it comes back
// when the fault is mended.
func TestFaultsOfTheWayAreNamed(t *testing.T) {
	d := startDirector(t, settings{services: quickWeb})
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) { d.in(t).wantNamed(f) })
	}
}

// namedLimit is how soon a fault must be named.
const namedLimit = 3 * time.Second

func (d *director) wantNamed(f fault) {
	t, rs := d.t, d.segment.servers[0]
	d.waitServers("web", "up", 3)
	d.waitDiagnosis(rs, probe.OK)
	load := d.segment.startLoad(t, 4, 5*time.Millisecond, webURL)
	time.Sleep(200 * time.Millisecond)
	fixed := false
	t.Cleanup(func() {
		if !fixed {
			_ = f.mends(d, rs)
		}
	})
	broken := time.Now()
	if err := f.breaks(d, rs); err != nil {
		t.Fatal(err)
	}
	d.waitDiagnosis(rs, f.want)
	named := time.Since(broken)
	d.waitServers("web", "down", 1)
	out := time.Now()
	time.Sleep(2 * checkInterval)
	live := d.realServer("web", rs)
	if live.Diagnosis == nil || live.Diagnosis.Diagnosis != f.want || len(live.Diagnosis.Mend) == 0 || live.Health.Up {
		t.Errorf("diagnosis %+v, health %+v; want %s, a command that mends it, and down", live.Diagnosis, live.Health, f.want)
	}
	if conn, err := d.host.dialWithin(time.Second, rs.address.String()+":80"); err != nil {
		t.Errorf("the RIP: %v", err)
	} else {
		conn.Close()
	}
	if err := f.mends(d, rs); err != nil {
		t.Fatal(err)
	}
	fixed = true
	mended := time.Now()
	d.waitServers("web", "up", 3)
	d.waitDiagnosis(rs, probe.OK)
	t.Logf("named after %v, out after %v, back %v after it was mended: %s", named, out.Sub(broken), time.Since(mended), live.Diagnosis.Why)
	if named > namedLimit {
		t.Errorf("named after %v, want %v", named, namedLimit)
	}
	eventually(t, 10*time.Second, rs.name+" serves again", func() bool { return load.servedSince(mended, rs.name) > 0 })
	wantNoFailure(t, slices.DeleteFunc(load.stop(), func(v visit) bool { return v.at.Before(out) }))
}

// waitDiagnosis waits until the way to a real server of web has a diagnosis.
func (d *director) waitDiagnosis(rs *server, want probe.Diagnosis) {
	d.t.Helper()
	var last *api.Diagnosis
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		if last = d.realServer("web", rs).Diagnosis; last != nil && last.Diagnosis == want {
			return
		}
	}
	d.t.Fatalf("%s: diagnosis %+v, want %s", rs.name, last, want)
}

const usualWeb = `services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    real_servers:
      - {address: 192.168.57.121}
      - {address: 192.168.57.122}
      - {address: 192.168.57.123}
      - {address: 192.168.57.129}
`

// With the check that a service has by itself, a lost VIP is named within three seconds; a real server that is not there
// has no neighbour; one on which nothing listens is down by its RIP.
func TestDiagnosesByDefault(t *testing.T) {
	d := startDirector(t, settings{services: usualWeb})
	rs1, rs2 := d.segment.servers[0], d.segment.servers[1]
	d.waitServers("web", "up", 3)
	t.Cleanup(func() { _ = errors.Join(addVIP(d, rs1), rs2.rebind("")) })
	start := time.Now()
	if err := removeVIP(d, rs1); err != nil {
		t.Fatal(err)
	}
	d.waitDiagnosis(rs1, probe.VIPNotOnRealServer)
	if took := time.Since(start); took > namedLimit {
		t.Errorf("a lost VIP is named after %v, want %v", took, namedLimit)
	} else {
		t.Logf("a lost VIP is named after %v", took)
	}
	rs2.stopNginx()
	d.waitDiagnosis(rs2, probe.RIPDown)
	d.waitDiagnosis(&server{host: &host{name: "nobody"}, address: rs1.address.Next().Next().Next().Next().Next().Next().Next().Next()}, probe.NoNeighbour)
}

// askedDNS is a UDP service whose real servers must answer on the VIP as well.
const askedDNS = `services:
  - name: web
    vip: 192.168.57.100
    protocol: udp
    port: 53
    health_check: {type: udp, send: are you there, reply: true, via: dr, interval: 300ms, timeout: 200ms, rise: 2, fall: 2}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}]
`

// A UDP service that is asked by datagrams on the VIP.
func TestUDPServiceIsAskedOnTheVIP(t *testing.T) {
	s := needSegment(t)
	rs1 := s.servers[0]
	for _, rs := range s.servers[:2] {
		rs.serveUDP(t, rs.address.String()+":53")
	}
	s.servers[1].serveUDP(t, "192.168.57.100:53")
	end := rs1.serveUDP(t, "192.168.57.100:53")
	d := startDirector(t, settings{services: askedDNS})
	d.waitServers("web", "up", 2)
	end()
	d.waitDiagnosis(rs1, probe.ServiceNotOnVIP)
	d.waitServers("web", "down", 1)
	rs1.serveUDP(t, "192.168.57.100:53")
	d.waitServers("web", "up", 2)
	t.Cleanup(func() { _ = addVIP(d, rs1) })
	if err := removeVIP(d, rs1); err != nil {
		t.Fatal(err)
	}
	d.waitDiagnosis(rs1, probe.VIPNotOnRealServer)
	d.waitServers("web", "down", 1)
}

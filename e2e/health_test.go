package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"turnout/mgmt/api"
)

// The health check of quickWeb. The limits are those that its numbers promise.
const (
	checkInterval = 500 * time.Millisecond
	checkTimeout  = 400 * time.Millisecond
	outLimit      = 2*checkInterval + checkTimeout // fall 2
	inLimit       = 2 * checkInterval * 11 / 10    // rise 2; a tenth for the probes themselves
)

const quickWeb = `services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    health_check: {type: http, interval: 500ms, timeout: 400ms, rise: 2, fall: 2}
    real_servers:
      - {address: 192.168.57.121}
      - {address: 192.168.57.122}
      - {address: 192.168.57.123}
`

// death is a way in which a real server ends, and how it comes back.
type death struct {
	name         string
	kill, revive func(*segment, *server) error
}

var deaths = []death{
	{
		name:   "nginx is killed",
		kill:   func(_ *segment, rs *server) error { rs.stopNginx(); return nil },
		revive: func(_ *segment, rs *server) error { return rs.startNginx() },
	},
	{
		name:   "nginx hangs", // its kernel still accepts
		kill:   func(_ *segment, rs *server) error { return rs.signalNginx(syscall.SIGSTOP) },
		revive: func(_ *segment, rs *server) error { return rs.signalNginx(syscall.SIGCONT) },
	},
	{
		name:   "the cable is pulled",
		kill:   func(s *segment, rs *server) error { return s.lan.ip("link set " + rs.name + " down") },
		revive: func(s *segment, rs *server) error { return s.lan.ip("link set " + rs.name + " up") },
	},
	{
		name:   "nginx answers 500",
		kill:   func(_ *segment, rs *server) error { return rs.breakPages(true) },
		revive: func(_ *segment, rs *server) error { return rs.breakPages(false) },
	},
}

func TestDeadServerIsOutInTimeAndBackInTime(t *testing.T) {
	d := startDirector(t, settings{services: quickWeb})
	for _, death := range deaths {
		t.Run(death.name, func(t *testing.T) {
			d.waitServers("web", "up", 3)
			wires := d.segment.tapServers(t)
			old := d.segment.client.browseMany(t, 30, "192.168.57.100:80")
			dying := d.segment.servers[0]
			others := slices.DeleteFunc(slices.Clone(old), func(c *connection) bool { return c.server == dying.name })
			if len(others) == len(old) {
				t.Fatalf("none of %d connections is %s's", len(old), dying.name)
			}
			stop := hold(t, others, (*connection).read)
			var tries []passing
			for range 3 { // a busy machine may need more than one
				tries = append(tries, d.killAndRevive(t, death, dying))
				if tries[len(tries)-1].inTime() {
					break
				}
			}
			t.Logf("%v; limits: %v, %v, %v", tries, outLimit, outLimit, inLimit)
			if !slices.ContainsFunc(tries, passing.inTime) {
				t.Errorf("never in time: want it out after fall x interval + timeout and in after rise x interval and a tenth")
			}
			stop()
			wantOneServerEach(t, d.segment, wires, others)
		})
	}
}

// passing is how long a real server's end took to be seen, from the kill: in the state that the API tells, and until the
// start of the last visit that failed; and its return, from the revival.
type passing struct{ out, lastFailure, in time.Duration }

func (p passing) inTime() bool {
	return p.out <= outLimit && p.lastFailure <= outLimit && p.in <= inLimit
}

func (p passing) String() string {
	return fmt.Sprintf("out after %v, last failure after %v, in after %v", p.out, p.lastFailure, p.in)
}

// killAndRevive has a real server end and come back, under load: once it is out no visit may fail any more, not even
// while it comes back.
func (d *director) killAndRevive(t *testing.T, by death, rs *server) (p passing) {
	t.Helper()
	revive := sync.OnceValue(func() error { return by.revive(d.segment, rs) })
	t.Cleanup(func() { _ = revive() })
	load := d.segment.startLoad(t, 4, 5*time.Millisecond, webURL)
	time.Sleep(200 * time.Millisecond)
	killed := time.Now()
	if err := by.kill(d.segment, rs); err != nil {
		t.Fatal(err)
	}
	d.waitServers("web", "down", 1)
	wasOut := time.Now()
	p.out = wasOut.Sub(killed)
	d.wantServedByOthers(t, rs)

	started := time.Now()
	if err := revive(); err != nil {
		t.Fatal(err)
	}
	d.waitServers("web", "up", 3)
	wasIn := time.Now()
	p.in = wasIn.Sub(started)
	eventually(t, 10*time.Second, rs.name+" serves again", func() bool { return load.servedSince(wasIn, rs.name) > 0 })

	visits := load.stop()
	wantNoFailure(t, slices.DeleteFunc(slices.Clone(visits), func(v visit) bool { return v.at.Before(wasOut) }))
	for _, v := range visits {
		if v.err != nil {
			p.lastFailure = max(p.lastFailure, v.at.Sub(killed))
		}
	}
	return p
}

// wantServedByOthers has clients come that the dead real server did not keep waiting.
func (d *director) wantServedByOthers(t *testing.T, dead *server) {
	t.Helper()
	load := d.segment.startLoad(t, 4, 5*time.Millisecond, webURL)
	time.Sleep(300 * time.Millisecond)
	visits := load.stop()
	wantNoFailure(t, visits)
	if counts := served(visits); len(visits) < 20 || counts[dead.name] > 0 {
		t.Errorf("while %s was out the visits were served by %v", dead.name, counts)
	}
}

// twoViews are two services of the same real servers, one asks for pages, the other for connections.
const twoViews = `services:
  - name: pages
    vip: 192.168.57.101
    protocol: tcp
    port: 80
    health_check: {type: http, interval: 300ms, timeout: 250ms, rise: 2, fall: 2}
    real_servers: [{address: 192.168.57.122}, {address: 192.168.57.123}]
  - name: connections
    vip: 192.168.57.101
    protocol: tcp
    port: 0
    health_check: {type: tcp, port: 80, interval: 300ms, timeout: 250ms, rise: 2, fall: 2}
    real_servers: [{address: 192.168.57.122}, {address: 192.168.57.123}]
`

func TestServerThatAnswers500IsOutUnderHTTPAndInUnderTCP(t *testing.T) {
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	d := startDirector(t, settings{services: twoViews})
	d.waitServers("pages", "up", 2)
	d.waitServers("connections", "up", 2)
	rs2, rs3 := s.servers[1], s.servers[2]
	if err := rs2.breakPages(true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rs2.breakPages(false) })
	d.waitServers("pages", "down", 1)
	time.Sleep(time.Second) // a tcp check would have failed as well
	d.waitServers("connections", "up", 2)
	wantServers(t, s.client.browseMany(t, 20, "192.168.57.101:80"), rs3)
	wantServers(t, s.client.connectMany(t, 20, "192.168.57.101:7"), rs2, rs3)
	if health := d.realServer("pages", rs2).Health; health.Up || !strings.Contains(health.LastError, "500") {
		t.Errorf("the page's check says %+v, want it down because of status 500", health)
	}
}

// realServer is the live state of a real server.
func (d *director) realServer(service string, rs *server) api.RealServerLive {
	d.t.Helper()
	for _, live := range d.service(service).Live.RealServers {
		if live.Address == rs.address {
			return live
		}
	}
	d.t.Fatalf("%s has no real server %s", service, rs.address)
	return api.RealServerLive{}
}

func TestRemovalByTheAPILosesNoRequest(t *testing.T) {
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	rs2 := d.segment.servers[1]
	load := d.segment.startLoad(t, 6, 2*time.Millisecond, webURL)
	time.Sleep(500 * time.Millisecond)
	d.must(http.MethodDelete, realServerPath("web", rs2.address), nil, nil)
	removed := time.Now()
	time.Sleep(time.Second)
	visits := load.stop()
	wantNoFailure(t, visits)
	if served(visits)[rs2.name] == 0 {
		t.Errorf("%s served nothing before it was removed: %v", rs2.name, served(visits))
	}
	after := slices.DeleteFunc(visits, func(v visit) bool { return v.at.Before(removed) })
	if len(after) == 0 || served(after)[rs2.name] > 0 {
		t.Errorf("of the %d visits after its removal %s served some: %v", len(after), rs2.name, served(after))
	}
}

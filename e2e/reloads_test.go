package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/store"
	"turnout/sched"
)

// untouched are the services that the reloads leave alone: of one a real server is down, of one another is drained.
const untouched = `services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    health_check: {type: http, interval: 1s, timeout: 900ms, rise: 1, fall: 2}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
  - name: echo
    vip: 192.168.57.100
    protocol: tcp
    port: 7
    health_check: {type: tcp, interval: 1s, timeout: 900ms, rise: 1, fall: 10}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
  - name: second
    vip: 192.168.57.101
    protocol: tcp
    port: 80
    health_check: {type: none}
    real_servers: [{address: 192.168.57.122}]
`

func TestReloadsUnderLoad(t *testing.T) {
	reloads := 150
	if full {
		reloads = 500
	}
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	rs1 := s.servers[0]
	if err := rs1.breakPages(true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rs1.breakPages(false) })
	d := startDirector(t, settings{services: untouched})
	d.waitServers("web", "up", 2)
	d.waitServers("echo", "up", 3)
	down := d.realServer("web", rs1).Health.Since

	wires := s.tapServers(t)
	held := s.client.connectMany(t, 30, "192.168.57.100:7")
	stop := chat(t, held)
	rs2 := s.servers[1]
	d.drain("echo", rs2, api.Drain{Deadline: store.Duration(time.Hour), Then: api.ThenDrop})
	drained := d.realServer("echo", rs2).Drain
	load := s.startLoad(t, 6, 2*time.Millisecond, webURL)
	r := newReloader(d)
	var used []memory
	for range reloads {
		r.reload()
		if health := d.realServer("web", rs1).Health; health.Up || !health.Since.Equal(down) {
			t.Fatalf("after %d reloads %s is said to be %+v, want it down since %v", r.reloads(), rs1.name, health, down)
		}
		if drain := d.realServer("echo", rs2).Drain; drain == nil || !drain.Since.Equal(drained.Since) || drain.Drain != drained.Drain {
			t.Fatalf("after %d reloads the drain of %s is %+v, want it as before, %+v", r.reloads(), rs2.name, drain, drained)
		}
		used = append(used, d.memory())
	}
	visits := load.stop()
	stop()
	t.Logf("%d visits during %d reloads, of which %d were refused", len(visits), reloads, r.refused)
	wantNoFailure(t, visits)
	if counts := served(visits); len(visits) < reloads || counts[rs1.name] > 0 {
		t.Errorf("during %d reloads the visits were served by %v", reloads, counts)
	}
	wantOneServerEach(t, s, wires, held)
	wantFlat(t, used)
}

// reloader puts one random state after the other in force. What it does follows from its seed.
type reloader struct {
	d                *director
	random           *rand.Rand
	state            store.State
	generation       uint64 // that must be in force
	applied, refused int
}

func newReloader(d *director) *reloader {
	d.t.Helper()
	seed := rand.Uint64()
	d.t.Logf("seed %d", seed)
	state, err := store.Decode([]byte(untouched), "services.yaml")
	if err != nil {
		d.t.Fatal(err)
	}
	return &reloader{d: d, random: rand.New(rand.NewPCG(seed, 0)), state: state, generation: d.status().Generation}
}

func (r *reloader) reloads() int { return r.applied + r.refused }

// reload loads another file, of which one in five is bad. Only good ones may count as a generation.
func (r *reloader) reload() {
	r.d.t.Helper()
	if r.random.IntN(5) == 0 {
		r.refused++
		r.d.write("services.yaml", r.text()+mistakes[r.random.IntN(len(mistakes))])
		r.d.hangup()
		eventually(r.d.t, 5*time.Second, "a bad file is refused", func() bool {
			return strings.Count(r.d.log(), "services file refused") == r.refused
		})
	} else {
		r.applied++
		r.generation++
		r.change()
		r.d.reload(r.text())
	}
	if got := r.d.status(); got.Generation != r.generation {
		r.d.t.Fatalf("after %d good reloads and %d bad ones the generation is %d, want %d", r.applied, r.refused, got.Generation, r.generation)
	}
}

func (r *reloader) text() string {
	return string(store.Encode(r.state, slices.Repeat([]string{"of a reload"}, len(r.state.Services))))
}

// mistakes make a bad file of a good one.
var mistakes = []string{
	"  - {name: web, vip: 192.168.57.101, protocol: tcp, port: 9}\n",
	"  - {name: bad, vip: 192.168.57.100, protocol: tcp, port: 80}\n",
	"  - {name: bad, vip: 192.168.57.101, protocol: tcp, prot: 9}\n",
	"  - {name: bad, vip: 192.168.57.101, protocol: tcp, port: 70000}\n",
	"  - {name: bad, vip: 192.168.57.101, protocol: tcp, port: 9, scheduler: best}\n",
	"  - {name: bad, vip: 192.168.57.101, protocol: tcp, port: 9, real_servers: [{address: 10.0.0.1}]}\n",
	"  - {name: bad, vip: 192.168.57.101, protocol: tcp, port: 9, real_servers: [{address: 192.168.57.111}]}\n",
	"  - {name: bad, vip: 192.168.57.101\n",
	"\t- tab\n",
}

// change changes something about the services that are not untouched.
func (r *reloader) change() {
	before := r.state.Clone()
	for reflect.DeepEqual(before, r.state) {
		changes := []func(*store.Service){r.reschedule, r.retime, r.reweigh, r.addServer, r.removeServer}
		switch others := r.others(); {
		case len(others) == 0 || len(others) < 8 && r.random.IntN(3) == 0:
			r.add()
		case r.random.IntN(5) == 0:
			r.state.Services = slices.Delete(r.state.Services, len(r.state.Services)-1, len(r.state.Services))
		default:
			changes[r.random.IntN(len(changes))](&others[r.random.IntN(len(others))])
		}
	}
}

// others are the services after the untouched ones.
func (r *reloader) others() []store.Service {
	return r.state.Services[strings.Count(untouched, "- name:"):]
}

func (r *reloader) add() {
	port := 1000 + r.random.IntN(1000)
	svc, err := store.DecodeService(fmt.Appendf(nil, `{"name": "other-%d", "vip": "192.168.57.101", "protocol": "tcp", "port": %d, "health_check": {"type": "none"}}`, port, port))
	if err != nil {
		r.d.t.Fatal(err)
	}
	if slices.ContainsFunc(r.state.Services, func(s store.Service) bool { return s.Name == svc.Name }) {
		return
	}
	r.addServer(&svc)
	r.state.Services = append(r.state.Services, svc)
}

func (r *reloader) reschedule(svc *store.Service) {
	names := sched.Names()
	svc.Scheduler = names[r.random.IntN(len(names))]
}

func (r *reloader) retime(svc *store.Service) {
	svc.Timeouts.Established = store.Duration(1+r.random.IntN(900)) * store.Duration(time.Second)
}

func (r *reloader) reweigh(svc *store.Service) {
	if n := len(svc.RealServers); n > 0 {
		svc.RealServers[r.random.IntN(n)].Weight = uint16(r.random.IntN(10))
	}
}

// addServer adds one of those there are, which have services that are not to notice, or one that is not there.
func (r *reloader) addServer(svc *store.Service) {
	address := netip.AddrFrom4([4]byte{192, 168, 57, byte(121 + r.random.IntN(6))})
	if !slices.ContainsFunc(svc.RealServers, func(rs store.RealServer) bool { return rs.Address == address }) {
		svc.RealServers = append(svc.RealServers, store.RealServer{Address: address, Weight: 1})
	}
}

func (r *reloader) removeServer(svc *store.Service) {
	if n := len(svc.RealServers); n > 0 {
		i := r.random.IntN(n)
		svc.RealServers = slices.Delete(svc.RealServers, i, i+1)
	}
}

// Package apitest has a Director without a data plane, for tests of the API and of its clients.
package apitest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/events"
	"turnout/mgmt/probe"
	"turnout/mgmt/store"
)

// Director holds a desired state in memory. Its live state is made up, the same at every reading.
type Director struct {
	mu         sync.Mutex
	state      store.State
	generation uint64
	role       api.Role
	states     map[uint64]store.State // of all generations
	drains     map[drainKey]api.Drain
	events     *events.Hub

	Plan         api.Applied        // what Change answers beside the generation and the VIPs
	ChangeError  error              // what Change answers, if not nil
	FlowsError   error              // what Flows answers, if not nil
	CaptureError error              // what Capture answers, if not nil
	Captured     []api.CaptureQuery // what Capture was asked for
	NotReady     []string           // why packets are not forwarded; empty: they are
}

var _ api.Director = (*Director)(nil)

// first is the generation that a new Director is at.
const first = 7

// Now is when everything is read.
var Now = time.Date(2026, 11, 23, 11, 3, 4, 0, time.UTC)

// Flows of every real server.
const (
	activeFlows   = 40
	inactiveFlows = 2
)

// New is a director at generation 7 with the service "web" of two real servers, one of them down.
func New() *Director {
	state := store.State{Services: []store.Service{web()}}
	return &Director{
		generation: first, role: api.RoleActive, events: events.New(), state: state, states: map[uint64]store.State{first: state.Clone()},
		drains: map[drainKey]api.Drain{}, Plan: api.Applied{Notes: []string{"the VIP is outside every port's subnet"}},
	}
}

func web() store.Service {
	return store.Service{
		Name: "web", VIP: netip.MustParseAddr("192.168.57.100"), Protocol: store.TCP, Port: 80, Scheduler: "maglev",
		Maglev:            store.Maglev{TableSize: 65537, Hash: store.HashFiveTuple},
		PersistencePrefix: 32, OnDown: store.OnDownReschedule, NoRealServer: store.RefuseDrop, Quorum: 1,
		Outlier:      store.Outlier{MinSyns: 20, Eject: store.Duration(30 * time.Second), MaxEjected: 30},
		HealthChecks: store.HealthChecks{{Type: store.CheckNone}},
		RealServers: []store.RealServer{
			{Address: netip.MustParseAddr("192.168.57.121"), Weight: 1},
			{Address: netip.MustParseAddr("192.168.57.122"), Weight: 3, MAC: "02:00:00:00:01:22"},
		},
	}
}

// State is a copy of the desired state.
func (d *Director) State() store.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.Clone()
}

// Change implements api.Director; it validates nothing.
func (d *Director) Change(_ context.Context, ifMatch uint64, dryRun bool, edit func(*store.State) error) (api.Applied, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ChangeError != nil {
		return api.Applied{}, d.ChangeError
	}
	if ifMatch != 0 && ifMatch != d.generation {
		return api.Applied{}, api.ErrStale
	}
	next := d.state.Clone()
	if err := edit(&next); err != nil {
		return api.Applied{}, err
	}
	applied := d.Plan
	applied.Announced, applied.Withdrawn = vipsNotIn(next, d.state), vipsNotIn(d.state, next)
	if !dryRun {
		d.apply(next)
	}
	applied.Generation = d.generation
	return applied, nil
}

func (d *Director) apply(next store.State) {
	d.state = next
	d.generation++
	d.states[d.generation] = next.Clone()
	d.forget()
	d.events.Emit(events.Config, "", netip.Addr{}, fmt.Sprintf("generation %d is in force", d.generation))
}

// vipsNotIn lists the VIPs of s that other has not, each once.
func vipsNotIn(s, other store.State) (vips []netip.Addr) {
	for _, svc := range s.Services {
		sameVIP := func(o store.Service) bool { return o.VIP == svc.VIP }
		if !slices.ContainsFunc(other.Services, sameVIP) && !slices.Contains(vips, svc.VIP) {
			vips = append(vips, svc.VIP)
		}
	}
	return vips
}

// Role implements api.Director.
func (d *Director) Role() api.Role {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.role
}

// SetRole implements api.Director.
func (d *Director) SetRole(_ context.Context, r api.Role) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.role != r {
		d.role = r
		d.events.Emit(events.Role, "", netip.Addr{}, "this director is "+string(r))
	}
	return nil
}

// Ready implements api.Director.
func (d *Director) Ready() (bool, []string) { return len(d.NotReady) == 0, d.NotReady }

// Status implements api.Director.
func (d *Director) Status() api.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return api.Status{
		Version: "1.2.3", Generation: d.generation, LastApplySuccessful: true,
		Started: Now.Add(-93784 * time.Second), UptimeSeconds: 93784, Role: d.role,
		MaglevKeyFingerprint: "0011223344556677", Ready: len(d.NotReady) == 0, NotReady: d.NotReady,
		Ports:  []api.PortBrief{{Name: "lan", LinkUp: true}},
		Lcores: []api.LcoreBrief{{Lcore: 1, Busy: 0.123, Flows: 42}},
		VIPs: []api.VIP{
			{Address: netip.MustParseAddr("192.168.57.100"), State: "announced"},
			{Address: netip.MustParseAddr("192.168.57.101"), State: "conflict"},
		},
		Conflicts: d.Conflicts(),
		Books: api.Books{
			Rx: 1000, Injected: 20, Generated: 5, Tx: 985, TxDropped: 1, Punted: 30, Consumed: 6, Held: 0,
			Drops: map[string]uint64{"no_service": 2, "loop": 0, "not_for_us": 1}, Balanced: true,
		},
	}
}

// Services implements api.Director.
func (d *Director) Services() api.ServiceList {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := api.ServiceList{Generation: d.generation}
	for _, svc := range d.state.Clone().Services {
		list.Services = append(list.Services, api.Service{Service: svc, Live: d.live(svc)})
	}
	return list
}

func (d *Director) live(svc store.Service) api.ServiceLive {
	l := api.ServiceLive{Packets: 1234, Bytes: 5_678_901, Connections: 99, RescheduledFlows: 3}
	for i, rs := range svc.RealServers {
		r := d.liveReal(drainKey{svc.Name, rs.Address}, i == 0)
		r.Weight, r.MAC = rs.Weight, rs.MAC
		if r.State == "up" {
			l.UsableWeight += uint64(rs.Weight)
		}
		l.RealServers = append(l.RealServers, r)
	}
	l.Quorum = l.UsableWeight >= uint64(svc.Quorum)
	if svc.SorryServer.Address.IsValid() {
		sorry := d.liveReal(drainKey{svc.Name, svc.SorryServer.Address}, true)
		sorry.MAC = svc.SorryServer.MAC
		l.SorryServer = &sorry
	}
	return l
}

func (d *Director) liveReal(key drainKey, up bool) api.RealServerLive {
	r := api.RealServerLive{
		Address: key.realServer, State: "up", Share: 1, Drain: d.drainLive(key), Health: health(up), Diagnosis: diagnosis(key.realServer, up),
		ActiveFlows: activeFlows, InactiveFlows: inactiveFlows, Packets: 617, Bytes: 2_839_450, Connections: 50,
	}
	switch {
	case !up:
		r.State = "down"
	case r.Drain != nil:
		r.State = "draining"
	}
	return r
}

func diagnosis(realServer netip.Addr, up bool) *api.Diagnosis {
	if up {
		return &api.Diagnosis{Diagnosis: probe.OK}
	}
	return &api.Diagnosis{
		Diagnosis: probe.RIPDown, Why: "connection refused", Mend: []string{fmt.Sprintf("ssh root@%v \"ss -lnt 'sport = :80'\"", realServer)},
	}
}

func health(up bool) api.Health {
	h := api.Health{Up: up, Since: Now.Add(-93782 * time.Second), LatencyMS: 0.42, Passed: 100, Failed: 1}
	if !up {
		h.LastError = "connect to 192.168.57.122:80: connection refused"
	}
	return h
}

// Flows implements api.Director: the service "web" has three flows, newest first.
func (d *Director) Flows(_ context.Context, q api.FlowQuery) (api.FlowPage, error) {
	if d.FlowsError != nil {
		return api.FlowPage{}, d.FlowsError
	}
	var page api.FlowPage
	for i := range uint16(3) {
		f := flow(i)
		if !matches(f, q) {
			continue
		}
		if len(page.Flows) == q.Limit {
			page.Truncated = true
			break
		}
		page.Flows = append(page.Flows, f)
	}
	return page, nil
}

func flow(i uint16) api.Flow {
	return api.Flow{
		Lcore: 1, Service: "web", Protocol: store.TCP, State: "established",
		Client:     netip.AddrPortFrom(netip.MustParseAddr("192.168.57.135"), 40000+i),
		VIP:        netip.MustParseAddrPort("192.168.57.100:80"),
		RealServer: netip.AddrFrom4([4]byte{192, 168, 57, 121 + byte(i%2)}),
		AgeSeconds: float64(i) * 75, ExpiresSecond: 900 - float64(i)*75,
	}
}

func matches(f api.Flow, q api.FlowQuery) bool {
	return (q.Service == "" || f.Service == q.Service) &&
		(!q.RealServer.IsValid() || f.RealServer == q.RealServer) &&
		(!q.Client.IsValid() || f.Client.Addr() == q.Client)
}

// Ports implements api.Director.
func (d *Director) Ports() []api.Port {
	return []api.Port{{
		Name: "lan", Device: "net_tap0,iface=dp0", Driver: "net_tap", MAC: "02:00:00:00:01:20", Address: "192.168.57.120/24",
		KernelInterface: "dip0", MTU: 1500, LinkUp: true, SpeedMbps: 10000, RxQueues: 1,
		RxPackets: 1000, RxBytes: 640_000, RxMissed: 4, TxPackets: 985, TxBytes: 630_400, TxDropped: 1,
	}}
}

// Lcores implements api.Director.
func (d *Director) Lcores() []api.Lcore {
	return []api.Lcore{{
		Lcore: 1, Polls: 5000, EmptyPolls: 4900, RxPackets: 1000, Busy: 0.123, FlowEntries: 42, FlowCapacity: 1 << 20,
		FlowInserts: 99, FlowExpirations: 57, FlowMemory: "thp", Idle: "adaptive",
	}}
}

// Neighbours implements api.Director.
func (d *Director) Neighbours() []api.Neighbour {
	return []api.Neighbour{
		{Address: netip.MustParseAddr("192.168.57.121"), MAC: "02:00:00:00:01:21", State: "reachable", Source: "kernel"},
		{Address: netip.MustParseAddr("192.168.57.122"), MAC: "02:00:00:00:01:22", State: "static", Source: "static"},
		{Address: netip.MustParseAddr("192.168.57.123"), State: "failed", Source: "kernel"},
	}
}

// Conflicts implements api.Director: a real server leaks a VIP.
func (d *Director) Conflicts() []api.Conflict {
	return []api.Conflict{{
		Address: netip.MustParseAddr("192.168.57.101"), VIP: true, MAC: "02:00:00:00:01:22", Holder: api.HolderRealServer,
		RealServers: []netip.Addr{netip.MustParseAddr("192.168.57.122")}, Since: Now.Add(-65 * time.Second), Heard: Now.Add(-5 * time.Second),
		Text: "real server 192.168.57.122 (02:00:00:00:01:22) claims VIP 192.168.57.101: arp_ignore or arp_announce is not set there",
		Mend: "turnout realserver --vip 192.168.57.101 --dev NIC --apply    # on 192.168.57.122",
	}}
}

// Events implements api.Director.
func (d *Director) Events() *events.Hub { return d.events }

// Explain implements api.Director: every packet goes to the first real server.
func (d *Director) Explain(context.Context, api.ExplainQuery) (api.Explanation, error) {
	if d.FlowsError != nil {
		return api.Explanation{}, d.FlowsError
	}
	position := 4711
	return api.Explanation{
		Verdict: "forward", Packet: "syn", Lcore: 1, Service: "web", Scheduler: "maglev", RealServer: netip.MustParseAddr("192.168.57.121"),
		MAC: "02:00:00:00:01:21", State: "up", Rule: "scheduled", Hash: "0123456789abcdef", Position: &position, Positions: 65537,
		NextState: "syn_received", Why: []string{"it belongs to service web (192.168.57.100 tcp port 80)", "no lcore has a flow of it", "the flow is new, and the scheduler picks"},
	}, nil
}

// Persistence implements api.Director: one client is pinned to the first real server of web.
func (d *Director) Persistence(q api.PersistenceQuery) api.PersistencePage {
	page := api.PersistencePage{Templates: []api.Template{{
		Service: "web", Client: netip.MustParsePrefix("192.0.2.0/24"), RealServer: netip.MustParseAddr("192.168.57.121"), Flows: 2, ExpiresSecond: 300,
	}}}
	if q.Service != "" && q.Service != "web" {
		page.Templates = nil
	}
	return page
}

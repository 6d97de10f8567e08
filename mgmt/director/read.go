package director

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"sync"
	"time"

	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/mgmt/api"
	"turnout/mgmt/health"
	"turnout/sched"
)

// Port is what the director asks of its DPDK port.
type Port interface {
	// Brief describes the port: all of api.Port but what the lcores count.
	Brief() api.Port
}

// Status is that of api.Director.
func (d *Director) Status() api.Status {
	v := d.view.Load()
	ready, why := d.Ready()
	port := d.config.Port.Brief()
	s := api.Status{
		Version: d.config.Version, Generation: v.generation, LastApplySuccessful: !v.failed, Started: d.started,
		UptimeSeconds: time.Since(d.started).Seconds(), Role: v.role, MaglevKeyFingerprint: fingerprint(d.config.MaglevKey),
		Ready: ready, NotReady: why, Ports: []api.PortBrief{{Name: port.Name, LinkUp: port.LinkUp}},
		VIPs: d.config.VIPs(), Conflicts: d.Conflicts(), Books: d.books(),
	}
	for i, l := range d.config.Lcores {
		s.Lcores = append(s.Lcores, api.LcoreBrief{Lcore: l.ID, Busy: d.busy.share(i, l.ReadCounters()), Flows: l.ReadCounters().Flows.Entries})
	}
	return s
}

// fingerprint tells keys apart without telling the key.
func fingerprint(key [16]byte) string {
	sum := sha256.Sum256(key[:])
	return hex.EncodeToString(sum[:8])
}

// Ready is that of api.Director.
func (d *Director) Ready() (bool, []string) {
	why := []string{}
	if d.stopping.Load() {
		why = append(why, "turnout was told to stop: it forwards until another director has taken over, for stop_grace at most")
	}
	if d.view.Load().generation == 0 {
		why = append(why, "no services are in force: the services file could not be loaded, see the log")
	}
	if port := d.config.Port.Brief(); !port.LinkUp {
		why = append(why, "the link of port "+port.Name+" is down: check the cable and the switch")
	}
	for _, vip := range d.config.VIPs() {
		if vip.State == "conflict" {
			why = append(why, heldBy(vip.Address, d.Conflicts()))
		}
	}
	return len(why) == 0, why
}

// books adds up what became of all frames.
func (d *Director) books() api.Books {
	b := api.Books{Drops: map[string]uint64{}}
	drops := uint64(0)
	for _, l := range d.config.Lcores {
		c, p := l.ReadCounters(), l.ReadPort()
		b.Rx += c.RxPackets
		b.Injected += p.Injected
		b.Generated += p.Generated
		b.Tx += p.TxPackets
		b.TxDropped += p.TxDropped
		for _, n := range c.Punted {
			b.Punted += n
		}
		for r, n := range c.Drops {
			b.Drops[lcore.Reason(r).String()] += n
			drops += n
		}
	}
	b.Balanced = b.Rx+b.Injected+b.Generated == b.Tx+b.TxDropped+b.Punted+b.Consumed+drops+b.Held
	return b
}

// Services is that of api.Director.
func (d *Director) Services() api.ServiceList {
	v := d.view.Load()
	checks := d.config.Health()
	list := api.ServiceList{Generation: v.generation, Services: make([]api.Service, 0, len(v.services))}
	for _, svc := range v.services {
		list.Services = append(list.Services, api.Service{Service: svc.Service, Live: d.liveService(v, svc, checks)})
	}
	return list
}

func (d *Director) liveService(v *view, svc *serviceView, checks map[health.Key]health.Status) api.ServiceLive {
	live := api.ServiceLive{RealServers: make([]api.RealServerLive, 0, len(svc.reals))}
	sum := v.retired[realKey{svc.Name, netip.Addr{}}]
	former := map[netip.Addr]totals{} // of slots that real servers had before
	for _, g := range v.gone[svc.Name] {
		counted := totalsOf(d.read(g.counter)).minus(g.base)
		sum, former[g.address] = sum.plus(counted), former[g.address].plus(counted)
	}
	measure := func(r *realView) api.RealServerLive {
		now := d.read(r.counter)
		since := totalsOf(now).minus(r.base)
		sum = sum.plus(since)
		total := since.plus(v.retired[realKey{svc.Name, r.Address}]).plus(former[r.Address])
		return d.liveReal(svc, r, now.RealCounters, total, checks[health.Key{Service: svc.Name, RealServer: r.Address}])
	}
	for i := range svc.reals {
		live.RealServers = append(live.RealServers, measure(&svc.reals[i]))
	}
	if svc.sorry != nil {
		sorry := measure(svc.sorry)
		live.SorryServer = &sorry
	}
	live.Packets, live.Bytes, live.Connections, live.RescheduledFlows = sum.packets, sum.bytes, sum.connections, sum.rescheduled
	live.Quorum, live.UsableWeight = svc.quorate, svc.weight
	return live
}

func (d *Director) liveReal(svc *serviceView, r *realView, now lcore.RealCounters, total totals, check health.Status) api.RealServerLive {
	at := time.Now()
	live := api.RealServerLive{
		Address: r.Address, Weight: r.Weight, State: r.state(), ActiveFlows: now.Active, InactiveFlows: now.Inactive,
		Share:   float64(share(r.upSince, time.Duration(svc.SlowStart), at)) / sched.FullShare,
		Drain:   d.drains.live(realKey{svc.Name, r.Address}, now.Active+now.Inactive, at),
		Packets: total.packets, Bytes: total.bytes, Connections: total.connections, Handshakes: handshakes(&total),
		Health: api.Health{
			Up: check.Up, Since: check.Since, LastError: check.LastError, LatencyMS: float64(check.Latency) / float64(time.Millisecond),
			Passed: check.Passed, Failed: check.Failed,
		},
		Diagnosis: diagnosisOf(&check.Diagnosis),
	}
	if live.State == ejectedState {
		live.EjectedUntil = r.ejectedUntil
	}
	if (r.live.mac != frame.MAC{}) {
		live.MAC = r.live.mac.String()
	}
	return live
}

// state is the real server's state as the API says it.
func (r *realView) state() string {
	if r.live.state == "up" && r.overloaded {
		return "overloaded"
	}
	return r.live.state
}

// Role is that of api.Director.
func (d *Director) Role() api.Role { return d.view.Load().role }

// Neighbours is that of api.Director: what the kernel knows, and the MACs that are configured.
func (d *Director) Neighbours() []api.Neighbour {
	list := d.config.Neighbours()
	known := map[netip.Addr]bool{}
	for _, svc := range d.view.Load().services {
		for i := range svc.reals {
			if r := &svc.reals[i]; r.live.static && !known[r.Address] {
				known[r.Address] = true
				list = append(list, api.Neighbour{Address: r.Address, MAC: r.live.mac.String(), State: "static", Source: "static"})
			}
		}
	}
	return list
}

// Ports is that of api.Director.
func (d *Director) Ports() []api.Port {
	p := d.config.Port.Brief()
	for _, l := range d.config.Lcores {
		c, sent := l.ReadCounters(), l.ReadPort()
		p.RxPackets += c.RxPackets
		p.RxBytes += c.RxBytes
		p.TxPackets += sent.TxPackets
		p.TxBytes += sent.TxBytes
		p.TxDropped += sent.TxDropped
	}
	return []api.Port{p}
}

// Lcores is that of api.Director.
func (d *Director) Lcores() []api.Lcore {
	list := make([]api.Lcore, len(d.config.Lcores))
	for i, l := range d.config.Lcores {
		c := l.ReadCounters()
		list[i] = api.Lcore{
			Lcore: l.ID, Socket: l.Socket, Polls: c.Polls, EmptyPolls: c.EmptyPolls, RxPackets: c.RxPackets, Busy: d.busy.share(i, c),
			FlowEntries: c.Flows.Entries, FlowCapacity: uint64(l.FlowCapacity()), FlowInserts: c.Flows.Inserts,
			FlowEvictions: c.Flows.Evictions, FlowExpirations: c.Flows.Expirations, FlowFull: c.Flows.Full,
			FlowMemory: l.FlowBacking(), Idle: idleName(l.Adaptive),
		}
	}
	return list
}

func idleName(adaptive bool) string {
	if adaptive {
		return "adaptive"
	}
	return "busy"
}

// busyMeter tells what share of its time an lcore spent on frames since it was last asked, but not less than a second
// ago, so that readers do not spoil each other's readings.
type busyMeter struct {
	mu    sync.Mutex
	lcore map[int]*busyReading
}

type busyReading struct {
	at           time.Time
	busy, cycles uint64
	share        float64
}

func (m *busyMeter) share(index int, c lcore.Counters) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lcore == nil {
		m.lcore = map[int]*busyReading{}
	}
	r := m.lcore[index]
	if r == nil {
		r = &busyReading{}
		m.lcore[index] = r
	}
	if now := time.Now(); now.Sub(r.at) >= time.Second && c.Cycles > r.cycles {
		r.share = float64(c.BusyCycles-r.busy) / float64(c.Cycles-r.cycles)
		r.at, r.busy, r.cycles = now, c.BusyCycles, c.Cycles
	}
	return r.share
}

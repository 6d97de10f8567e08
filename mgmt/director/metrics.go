package director

import (
	"turnout/lcore"
	"turnout/mgmt/api"
	"turnout/mgmt/health"
	"turnout/mgmt/metrics"
)

var _ metrics.Source = (*Director)(nil)

// Snapshot is that of metrics.Source.
func (d *Director) Snapshot() *metrics.Reading {
	v := d.view.Load()
	books := d.books()
	r := &metrics.Reading{
		Version: d.config.Version, Generation: v.generation, LastApplySuccessful: !v.failed, Active: v.role == api.RoleActive,
		Drops: books.Drops, Punted: map[string]uint64{}, Events: d.config.Events.Counts(), Injected: books.Injected,
		Generated: books.Generated, Consumed: books.Consumed, Held: books.Held,
	}
	if t := d.config.Templates; t != nil {
		r.Persistence.Entries, r.Persistence.Capacity = uint64(t.Entries(d.tick())), uint64(t.Capacity())
	}
	r.VIPConflicts, r.ServerConflicts = measureConflicts(d.Conflicts())
	checks := d.config.Health()
	for _, svc := range v.services {
		r.Services = append(r.Services, d.measureService(v, svc, checks))
	}
	for _, p := range d.Ports() {
		r.Ports = append(r.Ports, metrics.Port{
			Name: p.Name, LinkUp: p.LinkUp, RxPackets: p.RxPackets, RxBytes: p.RxBytes, RxMissed: p.RxMissed, RxNoMbuf: p.RxNoMbuf,
			TxPackets: p.TxPackets, TxBytes: p.TxBytes, TxDropped: p.TxDropped,
		})
	}
	for i := range d.config.Lcores {
		c := d.config.Lcores[i].ReadCounters()
		r.Lcores = append(r.Lcores, d.measureLcore(i, &c))
		r.Persistence.Full += c.Unpinned
		for k, n := range c.Punted {
			r.Punted[lcore.PuntKind(k).String()] += n
		}
	}
	return r
}

// tick is that of the lcore that looked at the clock last: one that sleeps is behind.
func (d *Director) tick() (latest uint32) {
	for i := range d.config.Lcores {
		if tick := uint32(d.config.Lcores[i].ReadCounters().Tick); i == 0 || int32(tick-latest) > 0 {
			latest = tick
		}
	}
	return latest
}

func (d *Director) measureService(v *view, svc *serviceView, checks map[health.Key]health.Status) metrics.Service {
	live := d.liveService(v, svc, checks)
	m := metrics.Service{
		Name: svc.Name, Packets: live.Packets, Bytes: live.Bytes, Connections: live.Connections, RescheduledFlows: live.RescheduledFlows,
	}
	m.Quorum = live.Quorum
	reals := live.RealServers
	if live.SorryServer != nil {
		reals = append(reals, *live.SorryServer)
	}
	for _, rs := range reals {
		check := checks[health.Key{Service: svc.Name, RealServer: rs.Address}]
		m.RealServers = append(m.RealServers, metrics.RealServer{
			Address: rs.Address.String(), Up: rs.Health.Up, Weight: rs.Weight, Share: rs.Share, Draining: rs.State == "draining",
			Overloaded: rs.State == "overloaded", Ejected: rs.State == ejectedState, ActiveFlows: rs.ActiveFlows, InactiveFlows: rs.InactiveFlows,
			Packets: rs.Packets, Bytes: rs.Bytes, Connections: rs.Connections, ChecksPassed: check.Passed, ChecksFailed: check.Failed,
			CheckDuration: durations(check.Durations), Diagnosis: string(check.Diagnosis.Diagnosis),
			Syns: rs.Handshakes.Syns, SynRetransmissions: rs.Handshakes.Retransmissions,
			UnansweredSyns: rs.Handshakes.Unanswered, Resets: rs.Handshakes.Resets, Fins: rs.Handshakes.Fins,
			HandshakeTime: handshakeTimes(&rs.Handshakes.Counted),
		})
	}
	return m
}

// durations turns the checks' histogram into the collector's.
func durations(h health.Histogram) metrics.Histogram {
	count, sum, buckets := h.Cumulative()
	m := metrics.Histogram{Bounds: health.Bounds[:], Count: count, Sum: sum}
	for _, bound := range m.Bounds {
		m.Cumulative = append(m.Cumulative, buckets[bound])
	}
	return m
}

func (d *Director) measureLcore(index int, c *lcore.Counters) metrics.Lcore {
	l := d.config.Lcores[index]
	return metrics.Lcore{
		Lcore: l.ID, Polls: c.Polls, EmptyPolls: c.EmptyPolls, Busy: d.busy.share(index, *c),
		BurstSize: burstSizes(c), PollGap: d.pollGaps(c),
		Flows: metrics.FlowTable{
			Entries: c.Flows.Entries, Capacity: uint64(l.FlowCapacity()), Inserts: c.Flows.Inserts, Evictions: c.Flows.Evictions,
			Expirations: c.Flows.Expirations, Full: c.Flows.Full,
		},
	}
}

// burstSizes are at most 2^i - 1 frames in bucket i.
func burstSizes(c *lcore.Counters) metrics.Histogram {
	h := metrics.Histogram{Sum: float64(c.RxPackets)}
	for i, n := range c.BurstSizes {
		h.Count += n
		h.Bounds = append(h.Bounds, float64(uint64(1)<<i-1))
		h.Cumulative = append(h.Cumulative, h.Count)
	}
	return h
}

// shortestGap and longestGap choose the buckets of the poll gap histogram that are exposed: from about half a
// microsecond to about a second.
const (
	shortestGap = 10
	longestGap  = 31
)

// pollGaps are under 2^i TSC cycles in bucket i. Their sum is worked out from the middle of the buckets.
func (d *Director) pollGaps(c *lcore.Counters) metrics.Histogram {
	h := metrics.Histogram{}
	for i, n := range c.Gaps {
		seconds := float64(uint64(1)<<i) / float64(d.config.TSCHz)
		h.Count += n
		h.Sum += float64(n) * seconds * 3 / 4
		if i >= shortestGap && i <= longestGap {
			h.Bounds = append(h.Bounds, seconds)
			h.Cumulative = append(h.Cumulative, h.Count)
		}
	}
	return h
}

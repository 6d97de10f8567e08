package director

import "turnout/lcore"

// reading is what the lcores count for a real server of a service, added up.
type reading struct {
	lcore.RealCounters
	lcore.Handshakes
}

// sum adds a real server's counters up over the lcores, handshakes aside.
func (d *Director) sum(counter uint32) (sum lcore.RealCounters) {
	for _, l := range d.config.Lcores {
		c := l.ReadReal(counter)
		sum.Packets += c.Packets
		sum.Bytes += c.Bytes
		sum.Connections += c.Connections
		sum.Rescheduled += c.Rescheduled
		sum.Active += c.Active
		sum.Inactive += c.Inactive
		sum.Syns += c.Syns
		sum.Unanswered += c.Unanswered
	}
	return sum
}

// read adds up all of a real server's counters.
func (d *Director) read(counter uint32) reading {
	r := reading{RealCounters: d.sum(counter)}
	for _, l := range d.config.Lcores {
		r.Handshakes = r.Handshakes.Plus(l.ReadHandshakes(counter))
	}
	return r
}

// totals are the counts of a real server that only grow.
type totals struct {
	packets, bytes, connections, rescheduled, syns, unanswered uint64
	handshakes                                                 lcore.Handshakes
}

func totalsOf(r reading) totals {
	return totals{r.Packets, r.Bytes, r.Connections, r.Rescheduled, r.Syns, r.Unanswered, r.Handshakes}
}

func (t totals) plus(o totals) totals {
	return totals{
		t.packets + o.packets, t.bytes + o.bytes, t.connections + o.connections, t.rescheduled + o.rescheduled,
		t.syns + o.syns, t.unanswered + o.unanswered, t.handshakes.Plus(o.handshakes),
	}
}

func (t totals) minus(o totals) totals {
	return totals{
		t.packets - o.packets, t.bytes - o.bytes, t.connections - o.connections, t.rescheduled - o.rescheduled,
		t.syns - o.syns, t.unanswered - o.unanswered, t.handshakes.Minus(o.handshakes),
	}
}

package doctor

import (
	"fmt"

	"turnout/mgmt/api"
)

// From here on a flow table or an lcore has too little left, as a share.
const (
	fullTable = 0.9
	busyLcore = 0.9
)

// pair is the same thing in both readings.
type pair[T any] struct{ before, now T }

// pairs are the things of the second reading that were in the first.
func pairs[T any, K comparable](before, now []T, key func(T) K) (all []pair[T]) {
	known := map[K]T{}
	for _, t := range before {
		known[key(t)] = t
	}
	for _, t := range now {
		if b, ok := known[key(t)]; ok {
			all = append(all, pair[T]{b, t})
		}
	}
	return all
}

func (d *Director) lcores() []pair[api.Lcore] {
	return pairs(d.Before.Lcores.Lcores, d.Now.Lcores.Lcores, func(l api.Lcore) uint { return l.Lcore })
}

func (d *Director) ports() []pair[api.Port] {
	return pairs(d.Before.Ports.Ports, d.Now.Ports.Ports, func(p api.Port) string { return p.Name })
}

func flowTables(d *Director) []Finding {
	return each(d.lcores(), func(l pair[api.Lcore]) (all []Finding) {
		enlarge := fmt.Sprintf("set flow_table.entries: %d in turnout.yaml and restart", 2*l.now.FlowCapacity)
		if float64(l.now.FlowEntries) > fullTable*float64(l.now.FlowCapacity) {
			all = append(all, found(Warning, enlarge, "the table of lcore %d has %d flows of %d", l.now.Lcore, l.now.FlowEntries, l.now.FlowCapacity))
		}
		if n := grown(l.before.FlowEvictions, l.now.FlowEvictions); n > 0 {
			all = append(all, found(Warning, enlarge, "lcore %d pushed out %d live flows in a second", l.now.Lcore, n))
		}
		if n := grown(l.before.FlowFull, l.now.FlowFull); n > 0 {
			all = append(all, found(Warning, enlarge, "lcore %d forwarded %d flows without an entry in a second", l.now.Lcore, n))
		}
		return all
	})
}

func lcoresBusy(d *Director) []Finding {
	return each(d.lcores(), func(l pair[api.Lcore]) []Finding {
		if l.now.Busy <= busyLcore {
			return nil
		}
		return []Finding{found(Warning, "add a CPU to dpdk.lcores in turnout.yaml and restart", "lcore %d is busy for %.0f %% of the time", l.now.Lcore, 100*l.now.Busy)}
	})
}

func portLoss(d *Director) []Finding {
	return each(d.ports(), func(p pair[api.Port]) (all []Finding) {
		for _, loss := range []struct {
			before, now uint64
			what, mend  string
		}{
			{p.before.RxMissed, p.now.RxMissed, "found the receive ring full", "add a CPU to dpdk.lcores in turnout.yaml and restart"},
			{p.before.RxNoMbuf, p.now.RxNoMbuf, "found no mbuf", "raise dpdk.memory_mb in turnout.yaml and restart"},
			{p.before.TxDropped, p.now.TxDropped, "found the transmit ring full", "raise ports[].tx_descriptors in turnout.yaml and restart"},
		} {
			if n := grown(loss.before, loss.now); n > 0 {
				all = append(all, found(Warning, loss.mend, "port %s: %d frames in a second %s", p.now.Name, n, loss.what))
			}
		}
		return all
	})
}

// grown is by how much a counter has grown. One that is smaller now was started anew.
func grown(before, now uint64) uint64 { return now - min(now, before) }

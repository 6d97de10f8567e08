package sched

import (
	"cmp"
	"math/bits"
)

// A scheduler that counts flows foresees so many picks, and more where there are many servers.
const (
	minForesight = 64
	maxForesight = 1 << 14 // 160 000 new flows a second at a table every 100 ms; 32 kB
)

// foresight returns how many picks to foresee where flows are expected: each of n servers should come in.
func foresight(flows, n int) int { return max(min(flows, maxForesight), minForesight, 2*n) }

// load is a server while picks are foreseen.
type load struct {
	cost   uint64 // of its flows, as the scheduler counts them
	weight uint64 // times its share, in 1/FullShare
	rank   uint32 // in the order of IDs
	slot   uint16
}

func newLoads(servers []Server, cost func(s *Server) uint64) []load {
	loads := make([]load, len(servers))
	for i := range loads {
		s := &servers[i]
		loads[i] = load{cost: cost(s), weight: uint64(s.Weight) * uint64(s.Share), rank: uint32(i), slot: s.Slot}
	}
	return loads
}

// activeCost is the cost of an active flow where an inactive one costs 1, as in IPVS.
const activeCost = 256

// overhead is IPVS's measure of a server's flows.
func overhead(s *Server) uint64 { return uint64(s.Active)*activeCost + uint64(s.Inactive) }

// compare compares cost by weight, exactly.
func (l *load) compare(m *load) int {
	high, low := bits.Mul64(l.cost, m.weight)
	highM, lowM := bits.Mul64(m.cost, l.weight)
	if high != highM {
		return cmp.Compare(high, highM)
	}
	return cmp.Compare(low, lowM)
}

// least foresees picks of the server whose cost by weight is least, the first by ID of those that are even. A pick adds
// to its cost.
func least(loads heap, picks int, added uint64) []uint16 {
	for at := len(loads) - 1; at >= 0; at-- {
		loads.down(at)
	}
	slots := make([]uint16, picks)
	for i := range slots {
		slots[i] = loads[0].slot
		loads[0].cost += added
		loads.down(0)
	}
	return slots
}

// heap is a binary heap, so that a pick costs the logarithm of the number of servers.
type heap []load

// down moves a load below those that are picked before it.
func (h heap) down(at int) {
	l := h[at]
	for child := 2*at + 1; child < len(h); child = 2*at + 1 {
		if other := child + 1; other < len(h) && h[other].before(&h[child]) {
			child = other
		}
		if !h[child].before(&l) {
			break
		}
		h[at] = h[child]
		at = child
	}
	h[at] = l
}

func (l *load) before(m *load) bool {
	if c := l.compare(m); c != 0 {
		return c < 0
	}
	return l.rank < m.rank
}

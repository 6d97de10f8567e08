package sched

import (
	"math/rand/v2"
	"sort"
)

// TWOS is the power of two choices: of two servers drawn at random by weight, the one with fewer flows for its weight.
var TWOS = &Scheduler{name: "twos", bySequence: true, build: buildByWeight, foresee: foreseeTWOS}

func foreseeTWOS(servers []Server, picks int) []uint16 {
	loads, random := newLoads(servers, overhead), newRandom(servers)
	upTo, sum := make([]uint64, len(loads)), uint64(0) // the weights added up
	for i := range loads {
		sum += loads[i].weight
		upTo[i] = sum
	}
	drawn := func() *load {
		at := random.Uint64N(sum)
		return &loads[sort.Search(len(upTo), func(i int) bool { return at < upTo[i] })]
	}
	slots := make([]uint16, picks)
	for i := range slots {
		l := lighter(drawn(), drawn())
		slots[i] = l.slot
		l.cost += activeCost
	}
	return slots
}

// lighter returns the one with fewer flows for its weight, the first if they are even.
func lighter(a, b *load) *load {
	if b.compare(a) < 0 {
		return b
	}
	return a
}

// newRandom is seeded by the servers' flows, so that a table is a function of what it is made from, as all are: a test
// or a second look finds the same. From one table to the next there are other flows, so others are drawn.
func newRandom(servers []Server) *rand.Rand {
	seed := uint64(0)
	for _, s := range servers {
		seed = mix(seed ^ uint64(s.Active)<<32 ^ uint64(s.Inactive))
	}
	return rand.New(rand.NewPCG(seed, uint64(len(servers))))
}

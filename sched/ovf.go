package sched

import (
	"cmp"
	"slices"
)

// OVF is overflow: the server of the largest weight, until its active flows exceed its weight; then the next one. When
// all are full none takes a flow.
var OVF = &Scheduler{name: "ovf", bySequence: true, build: buildByWeight, foresee: foreseeOVF}

func foreseeOVF(servers []Server, picks int) []uint16 {
	slots := make([]uint16, 0, picks)
	for _, s := range byWeightDown(servers) {
		room := uint64(s.Weight)*uint64(s.Share)/FullShare + 1
		for active := uint64(s.Active); active < room && len(slots) < picks; active++ {
			slots = append(slots, s.Slot)
		}
	}
	for len(slots) < picks {
		slots = append(slots, None)
	}
	return slots
}

// byWeightDown returns the servers from the largest weight down, by ID where they are even.
func byWeightDown(servers []Server) []Server {
	servers = slices.Clone(servers)
	slices.SortFunc(servers, func(a, b Server) int {
		if a.Weight != b.Weight {
			return cmp.Compare(b.Weight, a.Weight)
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return servers
}

package sched

import (
	"cmp"
	"slices"
)

// FO is fail over: the server of the largest weight has all flows.
var FO = &Scheduler{name: "fo", bySequence: true, build: buildFO}

func buildFO(servers []Server, _ Options) []uint16 {
	if len(servers) == 0 {
		return nil
	}
	return []uint16{inWeightOrder(servers)[0].Slot}
}

// inWeightOrder returns the servers from the largest weight down, by ID where they are even.
func inWeightOrder(servers []Server) []Server {
	return slices.SortedStableFunc(slices.Values(servers), func(a, b Server) int { return cmp.Compare(b.Weight, a.Weight) })
}

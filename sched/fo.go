package sched

import (
	"cmp"
	"slices"
)

// FO is fail over: the server of the largest weight has all flows, the first by ID of several.
var FO = &Scheduler{name: "fo", bySequence: true, build: buildFO}

func buildFO(servers []Server, _ Options) []uint16 {
	if len(servers) == 0 {
		return nil
	}
	first := slices.MaxFunc(servers, func(a, b Server) int { return cmp.Compare(a.Weight, b.Weight) })
	return []uint16{first.Slot}
}

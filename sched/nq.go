package sched

import "slices"

// NQ is never queue: the first server that is idle, whatever its weight, else as SED.
var NQ = &Scheduler{name: "nq", bySequence: true, build: buildByWeight, foresee: foreseeNQ}

func foreseeNQ(servers []Server, picks int) []uint16 {
	servers = slices.Clone(servers)
	slots := make([]uint16, 0, picks)
	for i := range servers {
		if s := &servers[i]; s.Active == 0 && len(slots) < picks {
			slots = append(slots, s.Slot)
			s.Active = 1
		}
	}
	return append(slots, foreseeSED(servers, picks-len(slots))...)
}

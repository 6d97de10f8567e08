package sched

import "slices"

// LC is least connection: the server with the fewest flows, whatever their weights. An active one counts as 256.
var LC = &Scheduler{name: "lc", bySequence: true, build: buildRR, foresee: foreseeLC}

func foreseeLC(servers []Server, picks int) []uint16 {
	servers = slices.Clone(servers)
	for i := range servers {
		servers[i].Weight = 1
	}
	return foreseeWLC(servers, picks)
}

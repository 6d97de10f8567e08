package sched

// LC is least connection: the server with the fewest flows, whatever their weights. An active one counts as 256.
var LC = &Scheduler{name: "lc", bySequence: true, build: buildRR, foresee: foreseeLC}

func foreseeLC(servers []Server, picks int) []uint16 { return foreseeWLC(evenWeights(servers), picks) }

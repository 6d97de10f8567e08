package sched

// WLC is weighted least connection: the server with the fewest flows for its weight.
var WLC = &Scheduler{name: "wlc", bySequence: true, build: buildByWeight, foresee: foreseeWLC}

func foreseeWLC(servers []Server, picks int) []uint16 {
	return least(newLoads(servers, overhead), picks, activeCost)
}

// buildByWeight is for the flows that are not remembered: what counts cannot be for them.
func buildByWeight(servers []Server, _ Options) []uint16 { return byThreshold(servers, maxForesight) }

package sched

// SED is shortest expected delay: the server that would have the fewest active flows for its weight with the new one.
var SED = &Scheduler{name: "sed", bySequence: true, build: buildByWeight, foresee: foreseeSED}

func foreseeSED(servers []Server, picks int) []uint16 {
	return least(newLoads(servers, delay), picks, 1)
}

// delay is the server's active flows with the new one.
func delay(s *Server) uint64 { return uint64(s.Active) + 1 }

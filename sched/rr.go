package sched

// RR is round robin: the servers one after another, whatever their weights.
var RR = &Scheduler{name: "rr", bySequence: true, build: buildRR}

func buildRR(servers []Server, _ Options) []uint16 {
	slots := make([]uint16, len(servers))
	for i, s := range servers {
		slots[i] = s.Slot
	}
	return slots
}

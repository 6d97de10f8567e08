package sched

// addressTableSize is the number of positions of sh and dh. IPVS has 256, which is too few to follow the weights of a
// hundred servers. A prime, so that the walk to the next choice can come to every position.
const addressTableSize = DefaultTableSize

// SH is source hashing: a client address keeps its real server while the real servers stay the same.
var SH = &Scheduler{name: "sh", hash: HashSource, build: buildSH}

func buildSH(servers []Server, _ Options) []uint16 {
	weights, _ := sequenceWeights(servers, addressTableSize)
	return inBlocks(servers, weights)
}

// inBlocks gives every server as many positions in a row as its weight, and over again until the table is full.
func inBlocks(servers []Server, weights []uint64) []uint16 {
	if len(servers) == 0 {
		return nil
	}
	slots := make([]uint16, 0, addressTableSize)
	for i := 0; len(slots) < addressTableSize; i = (i + 1) % len(servers) {
		for n := weights[i]; n > 0 && len(slots) < addressTableSize; n-- {
			slots = append(slots, servers[i].Slot)
		}
	}
	return slots
}

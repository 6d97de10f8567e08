package sched

import "slices"

// DH is destination hashing: a VIP has one real server. As in IPVS all weigh the same.
var DH = &Scheduler{name: "dh", hash: HashDestination, build: buildDH}

func buildDH(servers []Server, _ Options) []uint16 {
	return inBlocks(servers, slices.Repeat([]uint64{1}, len(servers)))
}

package sched

import "slices"

// DH is destination hashing: a VIP has one real server. As in IPVS all weigh the same.
var DH = &Scheduler{name: "dh", hash: HashDestination, build: buildDH}

func buildDH(servers []Server, o Options) []uint16 { return buildSH(evenWeights(servers), o) }

// evenWeights returns the servers with the same weight each.
func evenWeights(servers []Server) []Server {
	servers = slices.Clone(servers)
	for i := range servers {
		servers[i].Weight = 1
	}
	return servers
}

package sched

// SH is source hashing: a client address keeps its real server. As in IPVS a table gives every server its weight's share
// of the clients; it is Maglev's, as few clients move when servers change, and as its positions are well mixed for the
// walk to a next choice.
var SH = &Scheduler{name: "sh", hash: HashSource, build: buildSH}

// buildSH does not go by the size that is set for Maglev. IPVS's own, 256, is too small for the weights of a hundred
// servers.
func buildSH(servers []Server, _ Options) []uint16 { return buildMaglev(servers, Options{}) }

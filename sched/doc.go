// Package sched answers one question: which real server gets a new flow.
//
// A [Scheduler] is an algorithm, one per file, all in one list (sched.go). In the control plane it compiles the
// real servers of a virtual service to a [Plan], and the plan with what is usable now to a [Table]. The table is
// immutable and shared by all lcores; [Table.Pick] reads it in constant time, whatever the algorithm:
//
//	plan, err := sched.Maglev.Plan(servers, options) // servers or weights changed
//	table := plan.Table(servers, 0)                     // a server went up or down, or is draining
//
// Reading order: sched.go, plan.go, table.go, then the algorithms.
//
// # What directors must agree on
//
// Directors that share a VIP must give a packet to the same real server without talking to each other. So a table
// is a function of its servers' IDs, slots, weights and usability and of the table size alone: servers are taken
// in the order of their IDs (compared as bytes), and nothing in it is keyed or random. What is keyed is the hash
// of the packet, which the caller brings. A change to any definition below splits directors of different
// versions: golden_test.go fails on one.
//
// A weight of 0 counts as 1 in every scheduler: whether a server takes flows is told by Usable alone.
//
// # Hash tables (maglev)
//
// The position of a packet with the 64-bit hash h in a table of M positions is floor(h * M / 2^64), the high word
// of a multiplication. It is as uniform as h: the numbers of hashes of any two positions differ by at most one.
// The position comes from the high bits of h; the low ones stay free for other tables.
//
// Maglev, after "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), section 3.4. M is prime.
// The permutation of a server is offset, offset + skip, offset + 2*skip, ... modulo M, where
//
//	offset = H(0x6f6666736574, ID) mod M
//	skip   = H(0x736b6970, ID) mod (M-1) + 1
//	H(seed, ID) = mix(FNV-1a of ID, 64 bits, started from the basis xor seed)
//	mix(x): x ^= x>>32; x *= 0xd6e8feb86659fd93; x ^= x>>32; x *= 0xd6e8feb86659fd93; x ^= x>>32
//
// Servers take turns until all positions are owned; a turn takes the next free position of the server's own
// permutation. The paper's rounds are for equal weights. With weights, every server's credit grows by its weight
// in every round, and in ID order those whose credit has reached the largest weight pay it for one turn. The
// table so filled is the base table. Usable plays no part in it.
//
// The effective table: a position whose owner is usable belongs to its owner. Any other position p belongs to the
// first usable owner met on the walk p + s, p + 2s, ... modulo M, with s = floor(mix(p) * (M-1) / 2^64) + 1. The
// walk ends after 64 steps; p then belongs to the server that owns p in the table filled from the usable servers
// alone. So a server that fails moves no flow but its own, which spread over the others in proportion to the
// positions they own; when it is back, the table is the base table again, bit for bit.
//
// # Sequence tables (rr, wrr)
//
// A sequence table is read from one end to the other and over again; each lcore keeps its own place, the cursor.
// A server that is not usable is absent, as if it were not configured.
//
// rr: every server once, in ID order, whatever its weight.
//
// wrr: the order of IPVS's wrr. A threshold goes from the largest weight down to 0 in steps of the weights'
// greatest common divisor, 0 excluded; at each step the servers whose weight reaches it follow in ID order.
// Weights 4, 3, 2 give A A B A B C A B C. A sequence of more than 2^20 turns is shortened: every weight becomes
// its share of 2^20, rounded down, at least 1, and the divisor 1.
package sched

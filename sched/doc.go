// Package sched answers one question: which real server gets a new flow.
//
// A [Scheduler] is an algorithm, one per file, all in one list (sched.go). In the control plane it compiles the
// real servers of a virtual service to a [Plan], and the plan with how they are now to a [Table]. Lcores share the table;
// [Table.Pick] reads it in constant time, whatever the algorithm:
//
//	plan, err := sched.Maglev.Plan(servers, options) // servers or weights changed
//	table := plan.Table(servers, flows)              // a server went up or down, is draining or ramping up, or has other flows
//
// Reading order: sched.go, plan.go, table.go; walk.go and ramp.go, foresee.go, blend.go; then the algorithms.
//
// # What directors must agree on
//
// Directors that share a VIP must give a packet to the same real server without talking to each other. So a hash table
// is a function of its servers' IDs, slots, weights, usability and shares and of the table size alone: servers are taken
// in the order of their IDs (compared as bytes), and nothing in it is keyed or random. What is keyed is the hash
// of the packet, which the caller brings. A change to any definition of a hash table below splits directors of different
// versions: golden_test.go fails on one. Sequence tables differ between directors anyway, as flows do.
//
// A weight of 0 counts as 1 in every scheduler: whether a server takes flows is told by Usable and Share. One that is
// usable with a share of 0 is as one that is not usable.
//
// # Hash tables (maglev, sh, dh)
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
// table so filled is the base table. What servers are now plays no part in it.
//
// sh is that table with M = 65537, for the hash of the client address alone. dh is the same for the hash of the VIP alone,
// and takes all weights for 1.
//
// # Usability and slow start in hash tables
//
// A server takes a position of its own if it is usable and draw(0x72616d70, p) is less than its share, where
//
//	draw(seed, p) = mix(seed * 2^32 + p) / 2^48
//
// so in full share it takes all. The effective table: a position whose owner takes it belongs to its owner. Any other
// position p belongs to the owner of the first position that is taken by its owner on the walk p + s, p + 2s, ... modulo
// M, with s = floor(mix(p) * (M-1) / 2^64) + 1. The walk ends after 64 steps; p then belongs to the server that owns p in
// the base table of the usable servers alone.
//
// So a server that fails moves no flow but its own, which spread over the others in proportion to the positions they own.
// When it comes back its share grows, and it only takes positions: none goes from one of the others to another one, and
// none changes twice. At its full share the table is the base table again, bit for bit.
//
// # Sequence tables (rr, wrr, fo)
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
//
// fo: the server of the largest weight, the first by ID of several, has all turns. A share changes nothing in that.
//
// A server in slow start keeps its share of its turns: after j of them, as many as j times its share, rounded up. The
// sequence is as many rounds of turns as bring a turn a round out even, at most 64 rounds and 2^20 turns.
//
// # Foreseen turns (lc, wlc, sed, nq, ovf, twos)
//
// These schedulers go by the flows that servers have, as IPVS's of the same names do, and an lcore could not count those
// of the others for every new flow. So the control plane foresees the next picks from the counts of all lcores, at
// least every 100 ms, each pick adding one active flow to its server. The table is the sequence of these picks, as many
// as flows are expected, and at least 64 and twice the servers. All lcores take turns from one place, so that together
// they do what was foreseen. Where several servers are even, the first by ID is picked.
//
//	lc    least 256 * active + inactive
//	wlc   least (256 * active + inactive) / weight
//	sed   least (active + 1) / weight
//	nq    the first by ID with no active flow, else sed
//	ovf   the largest weight of those with active <= weight; none if there is no such server
//	twos  of two servers drawn by weight, the lesser by wlc, the first drawn if they are even
//
// In slow start a weight counts for its share: in lc too, where all are 1 else. In ovf that is the number of flows it
// has room for, not the order of servers. Fractions are compared exactly.
//
// A flow that is not remembered has no part in this, as its packets would go to one server after another: it goes by its
// hash over rr's sequence, in lc, or wrr's of at most 2^14 turns.
//
// # Gradual changes
//
// [Blend] mixes the tables before and after a change. In hash tables the position p is the new one's if draw(0x626c656e, p)
// is less than the share. In sequence tables every turn goes to the new one when its share of all turns so far, rounded
// down, grows by one; each sequence goes on where it was.
package sched

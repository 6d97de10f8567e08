package sched

import (
	"math/bits"
	"sync/atomic"
)

// Table says which slot gets a new flow. Lcores share it without locks: it is immutable, but for the place in the turns
// of a scheduler that counts flows. The zero Table has no positions: no server can take a flow.
type Table struct {
	slots []uint16 // position -> slot
	turns []uint16 // the slots one new flow after another, in a sequence table; nil in a hash table
	place *place   // in turns, of all lcores together; nil: every lcore has its own, the cursor
}

// place counts the turns that all lcores together have taken. Had each lcore its own place in what a scheduler foresees,
// every one of them would give the idlest real server the flows that it lacks. It is written for new flows only, and
// has a cache line to itself, so that lcores do not wait for each other to read the table.
type place struct {
	_     [64]byte
	taken atomic.Uint32
	_     [60]byte
}

// Pick returns the slot of the real server that gets a new flow, or None if no server can take it.
// A hash table reads hash, the packet's keyed hash, 64 good bits. A sequence table reads and advances cursor, the
// lcore's own counter for this service; lcores that start from different values, as their numbers, do not all
// start with the same server. Both are always given, so that the caller need not know which it is.
func (t *Table) Pick(hash uint64, cursor *uint32) uint16 {
	if t.turns == nil {
		return t.PickByHash(hash)
	}
	if t.place != nil {
		shared := t.place.taken.Add(1) - 1
		cursor = &shared
	}
	if at := advance(cursor, uint32(len(t.turns))); uint(at) < uint(len(t.turns)) {
		return t.turns[at]
	}
	return None
}

// PickByHash returns the slot at the hash's position, also of a sequence table, with the same shares: for a flow that
// is not remembered, whose packets must all find the same real server. No cursor moves. Flow counts play no part, as
// they are others for the next packet.
func (t *Table) PickByHash(hash uint64) uint16 {
	if at := t.Index(hash); uint(at) < uint(len(t.slots)) {
		return t.slots[at]
	}
	return None
}

// Index returns the position of a packet's hash.
func (t *Table) Index(hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(len(t.slots)))
	return int(high)
}

// BySequence reports whether Pick goes by the flows before and not by the packet.
func (t *Table) BySequence() bool { return t.turns != nil }

// Len returns the number of positions.
func (t *Table) Len() int { return len(t.slots) }

// advance moves cursor one of n places on and returns the one it leaves. A cursor from a longer table is good too.
func advance(cursor *uint32, n uint32) uint32 {
	at := *cursor
	if at >= n {
		at %= n
	}
	*cursor = at + 1
	return at
}

package sched

import "math/bits"

// Table says for every position which slot gets a new flow. It is immutable: lcores share it without locks.
// The zero Table has no positions.
type Table struct {
	slots      []uint16 // position -> slot
	bySequence bool     // the next position is the cursor's, not the hash's
}

// Pick returns the slot of the real server that gets a new flow, or None if no server can take it.
// A hash table reads hash, the packet's keyed hash, 64 good bits. A sequence table reads and advances cursor, the
// lcore's own counter for this service; lcores that start from different values, as their numbers, do not all
// start with the same server. Both are always given, so that the caller need not know which it is.
func (t *Table) Pick(hash uint64, cursor *uint32) uint16 {
	at := t.Index(hash)
	if t.bySequence {
		at = t.advance(cursor)
	}
	if uint(at) < uint(len(t.slots)) {
		return t.slots[at]
	}
	return None
}

// PickByHash returns the slot at the hash's position, also in a sequence table, with the same shares: for a flow that
// is not remembered, whose packets must all find the same real server. No cursor moves.
func (t *Table) PickByHash(hash uint64) uint16 {
	if at := t.Index(hash); uint(at) < uint(len(t.slots)) {
		return t.slots[at]
	}
	return None
}

// Index returns the position of a packet's hash. In a sequence table only PickByHash goes by it.
func (t *Table) Index(hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(len(t.slots)))
	return int(high)
}

// BySequence reports whether the choice depends on the cursor and not on the packet.
func (t *Table) BySequence() bool { return t.bySequence }

// Len returns the number of positions.
func (t *Table) Len() int { return len(t.slots) }

// advance moves cursor one position on and returns the position it leaves. A cursor from a longer table is good too.
func (t *Table) advance(cursor *uint32) int {
	at := *cursor
	if n := uint32(len(t.slots)); at >= n {
		at %= max(n, 1)
	}
	*cursor = at + 1
	return int(at)
}

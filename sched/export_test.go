package sched

import "slices"

// SameMemory reports whether the tables share their positions.
func SameMemory(a, b *Table) bool { return &a.slots[0] == &b.slots[0] }

// Turns returns how many turns a sequence table has.
func (t *Table) Turns() int { return len(t.turns) }

// SameTable reports whether the tables are equal.
func SameTable(a, b *Table) bool {
	return slices.Equal(a.slots, b.slots) && slices.Equal(a.turns, b.turns)
}

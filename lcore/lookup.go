package lcore

import "math/bits"

// lookup is an immutable map from a number other than 0 to an index: open addressing, at most half full, so that a
// look-up costs about one cache line. The zero lookup is empty.
type lookup struct {
	cells []cell // a power of two
	shift uint8
}

type cell struct {
	key   uint64
	value uint32
}

// newLookup makes a lookup with room for n keys.
func newLookup(n int) lookup {
	if n == 0 {
		return lookup{}
	}
	log := bits.Len(uint(2*n - 1))
	return lookup{cells: make([]cell, 1<<log), shift: uint8(64 - log)}
}

// find returns the value of key.
func (l *lookup) find(key uint64) (value uint32, ok bool) {
	if len(l.cells) == 0 {
		return 0, false
	}
	mask := uint64(len(l.cells) - 1)
	for i := l.start(key); ; i = (i + 1) & mask {
		if c := &l.cells[i&mask]; c.key == key {
			return c.value, true
		} else if c.key == 0 {
			return 0, false
		}
	}
}

// put gives key a value; the lookup must have been made with room for it.
func (l *lookup) put(key uint64, value uint32) {
	mask := uint64(len(l.cells) - 1)
	i := l.start(key)
	for l.cells[i].key != 0 && l.cells[i].key != key {
		i = (i + 1) & mask
	}
	l.cells[i] = cell{key, value}
}

// start is where the search for key begins.
func (l *lookup) start(key uint64) uint64 { return key * goldenRatio >> l.shift }

// goldenRatio is 2^64 divided by the golden ratio, for multiplicative hashing.
const goldenRatio = 0x9e3779b97f4a7c15

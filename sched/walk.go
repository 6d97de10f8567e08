package sched

import (
	"math/bits"
	"sync"
)

// maxWalk bounds the search of a position for its next choice: with a tenth of the positions usable, one walk in
// a thousand ends without.
const maxWalk = 64

// Seeds of draw: what is drawn for one end says nothing of the other.
const (
	rampSeed  = 0x72616d70
	blendSeed = 0x626c656e
)

// walker finds the owners of the positions of a hash table while not every server takes all its own.
type walker struct {
	base   []uint16 // the owners if they did
	shares []uint32 // by slot
}

// around gives every position that its owner may not take to its next choice.
func (p *Plan) around(able []Server) []uint16 {
	w := walker{base: p.base, shares: p.shares(able)}
	last := sync.OnceValue(func() []uint16 { return p.scheduler.build(able, p.options) })
	slots := make([]uint16, len(p.base))
	for at, owner := range p.base {
		if !w.takes(uint32(at)) {
			owner = w.nextChoice(uint32(at))
		}
		if owner == None {
			owner = last()[at]
		}
		slots[at] = owner
	}
	return slots
}

// takes reports whether a position's owner may take it. As a share grows, positions are added and none is lost.
func (w *walker) takes(at uint32) bool {
	share := w.shares[w.base[at]]
	return share == FullShare || share > 0 && draw(rampSeed, at) < share
}

// nextChoice walks from a position to one whose owner takes it; None if maxWalk steps do not lead to one.
func (w *walker) nextChoice(at uint32) uint16 {
	size := uint32(len(w.base))
	high, _ := bits.Mul64(mix(uint64(at)), uint64(size-1))
	step := uint32(high) + 1
	for range maxWalk {
		at += step
		if at >= size {
			at -= size
		}
		if w.takes(at) {
			return w.base[at]
		}
	}
	return None
}

// draw returns a position's number from 0 to FullShare-1, as if drawn at random.
func draw(seed uint64, at uint32) uint32 { return uint32(mix(seed<<32|uint64(at)) >> 48) }

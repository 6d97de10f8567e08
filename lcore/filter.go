package lcore

import "math/bits"

// filter is an immutable set of MACs, as frame.MAC.Word packs them, that now and then takes a stranger for a member: one
// in a thousand (a Bloom filter of two bits a MAC). A stranger costs a look-up more; it must be rare, because a router
// taken for one would be so with every frame.
type filter struct {
	words []uint64
	shift uint8
}

// filterBits is the room for one MAC, in bits.
const filterBits = 64

// newFilter makes a filter with room for n MACs, and 4 KiB large at least.
func newFilter(n int) filter {
	log := max(15, bits.Len(uint(n*filterBits)))
	return filter{words: make([]uint64, 1<<(log-6)), shift: uint8(64 - log)}
}

func (f *filter) add(mac uint64) {
	first, second := f.first(mac), f.second(mac)
	f.words[first>>6] |= 1 << (first & 63)
	f.words[second>>6] |= 1 << (second & 63)
}

func (f *filter) has(mac uint64) bool {
	first := f.first(mac)
	return f.words[first>>6]>>(first&63)&1 != 0 && f.hasSecond(mac)
}

func (f *filter) hasSecond(mac uint64) bool {
	second := f.second(mac)
	return f.words[second>>6]>>(second&63)&1 != 0
}

// first and second are the bits of a MAC.
func (f *filter) first(mac uint64) uint64 { return mac * goldenRatio >> f.shift }

func (f *filter) second(mac uint64) uint64 { return bits.ReverseBytes64(mac) * goldenRatio >> f.shift }

package sched

// permutation is a server's own order of all positions, at one of them.
type permutation struct {
	at   uint32
	skip uint32 // 1 to M-1
}

func newPermutation(id string, size int) permutation {
	return permutation{
		at:   uint32(hashID(0x6f6666736574, id) % uint64(size)),
		skip: uint32(hashID(0x736b6970, id)%uint64(size-1)) + 1,
	}
}

// nextFree walks to the next position that holds None; there must be one. The sum at + skip modulo M is formed
// without a branch: where a permutation wraps is past prediction.
func (p *permutation) nextFree(slots []uint16) uint32 {
	at, size := p.at, uint32(len(slots))
	rest := size - p.skip
	for slots[at] != None {
		at -= rest
		at += size & uint32(int32(at)>>31)
	}
	p.at = at
	return at
}

// nearest returns the index of the position in free that the permutation comes to first.
func (p *permutation) nearest(free []uint32, size int) int {
	m := uint64(size)
	perStep := inverse(uint64(p.skip), m)
	first, steps := 0, m
	for i, position := range free {
		n := (uint64(position) + m - uint64(p.at)) * perStep % m
		if n < steps {
			first, steps = i, n
		}
	}
	return first
}

// inverse returns the number whose product with a is 1 modulo the prime m, by Euclid's extended algorithm.
func inverse(a, m uint64) uint64 {
	r, next := int64(m), int64(a)
	x, nextX := int64(0), int64(1)
	for next != 0 {
		q := r / next
		r, next = next, r-q*next
		x, nextX = nextX, x-q*nextX
	}
	return uint64(x+int64(m)) % m
}

// hashID is 64-bit FNV-1a, seeded and mixed: FNV alone leaves the last bytes of an address in the low bits.
func hashID(seed uint64, id string) uint64 {
	h := 0xcbf29ce484222325 ^ seed
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 0x100000001b3
	}
	return mix(h)
}

// mix spreads every bit of x over all 64: a bijection.
func mix(x uint64) uint64 {
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	return x ^ x>>32
}

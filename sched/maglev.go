package sched

import (
	"errors"
	"math/bits"
	"sort"
	"strconv"
)

// Table sizes. A size over 100 times the number of servers keeps shares within about 1 % of the weights.
const (
	DefaultTableSize = 65537    // as in the paper; good for 600 servers
	MinTableSize     = 251      // IPVS's smallest
	MaxTableSize     = 16777213 // the largest prime under 2^24: 32 MB per table, about a second to fill
)

// maxWalk bounds the search of a position for its next choice: with a tenth of the positions usable, one walk in
// a thousand ends without.
const maxWalk = 64

// Maglev is consistent hashing: a flow's server depends on the packet alone, and few flows move when servers change.
var Maglev = &Scheduler{name: "maglev", check: checkMaglev, build: buildMaglev, around: aroundMaglev}

// ValidTableSize returns nil for a size that Maglev can use: a prime, so that every step walks over all positions,
// from MinTableSize to MaxTableSize.
func ValidTableSize(size int) error {
	if size < MinTableSize || size > MaxTableSize {
		return errors.New("table size " + strconv.Itoa(size) + " is out of range: use a prime from " +
			strconv.Itoa(MinTableSize) + " to " + strconv.Itoa(MaxTableSize) + ", such as 65537")
	}
	if !isPrime(size) {
		return errors.New("table size " + strconv.Itoa(size) + " is not a prime: use one such as 65537 or 655373")
	}
	return nil
}

func checkMaglev(servers []Server, o Options) error {
	size := tableSize(o)
	if err := ValidTableSize(size); err != nil {
		return err
	}
	if len(servers) > size {
		return errors.New("table size " + strconv.Itoa(size) + " is less than the number of real servers, " +
			strconv.Itoa(len(servers)) + ": use a prime of a hundred times as many")
	}
	return nil
}

func buildMaglev(servers []Server, o Options) []uint16 {
	if len(servers) == 0 {
		return nil
	}
	return populate(servers, tableSize(o))
}

// permutation is a server's own order of all positions, at one of them.
type permutation struct {
	at   uint32
	skip uint32 // 1 to M-1
}

// populate fills a table of size positions, turn by turn.
func populate(servers []Server, size int) []uint16 {
	permutations := make([]permutation, len(servers))
	for i, s := range servers {
		permutations[i] = newPermutation(s.ID, size)
	}
	slots := make([]uint16, size)
	for i := range slots {
		slots[i] = None
	}
	for _, server := range turnOrder(servers, size) {
		at := permutations[server].nextFree(slots)
		slots[at] = servers[server].Slot
	}
	return slots
}

func newPermutation(id string, size int) permutation {
	return permutation{
		at:   uint32(hashID(0x6f6666736574, id) % uint64(size)),
		skip: uint32(hashID(0x736b6970, id)%uint64(size-1)) + 1,
	}
}

// nextFree moves on to a position that holds None; there must be one. The index runs by additions under 2^25:
// offset + i*skip would overflow 32 bits.
func (p *permutation) nextFree(slots []uint16) uint32 {
	at, skip, size := p.at, p.skip, uint32(len(slots))
	for slots[at] != None {
		at += skip
		if at >= size {
			at -= size
		}
	}
	p.at = at
	return at
}

// turnOrder returns the servers in the order of their turns for size positions. A server whose credit grows by
// weight in every round can pay its k-th turn, at the price of the largest weight, in round ceil(k*largest/weight).
func turnOrder(servers []Server, size int) []uint16 {
	largest := uint64(0)
	for _, s := range servers {
		largest = max(largest, uint64(s.Weight))
	}
	rounds := uint64(roundsFor(servers, largest, size))
	order := inRounds(len(servers), int(rounds), func(server int, take func(int)) {
		weight := uint64(servers[server].Weight)
		for credit := largest; credit <= rounds*weight; credit += largest {
			take(int((credit+weight-1)/weight) - 1)
		}
	})
	return order[:size]
}

// roundsFor returns how many rounds it takes to give out size turns: size at most, as the heaviest has one in each.
func roundsFor(servers []Server, largest uint64, size int) int {
	return sort.Search(size, func(rounds int) bool {
		turns := uint64(0)
		for _, s := range servers {
			turns += uint64(rounds) * uint64(s.Weight) / largest
		}
		return turns >= uint64(size)
	})
}

// aroundMaglev gives every position whose owner is not usable to its next choice.
func aroundMaglev(p *Plan, usable *slotSet) []uint16 {
	slots := make([]uint16, len(p.base))
	var last []uint16 // filled from the usable servers alone, once a walk has failed
	for at, slot := range p.base {
		if !usable[slot] {
			slot = nextChoice(p.base, uint32(at), usable)
		}
		if slot == None && last == nil {
			last = populate(p.only(usable), len(p.base))
		}
		if slot == None {
			slot = last[at]
		}
		slots[at] = slot
	}
	return slots
}

// nextChoice walks from a position to one whose owner is usable; None if maxWalk steps do not lead to one.
func nextChoice(base []uint16, at uint32, usable *slotSet) uint16 {
	size := uint32(len(base))
	high, _ := bits.Mul64(mix(uint64(at)), uint64(size-1))
	step := uint32(high) + 1
	for range maxWalk {
		at += step
		if at >= size {
			at -= size
		}
		if usable[base[at]] {
			return base[at]
		}
	}
	return None
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

func tableSize(o Options) int {
	if o.TableSize == 0 {
		return DefaultTableSize
	}
	return o.TableSize
}

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

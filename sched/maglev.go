package sched

import (
	"errors"
	"slices"
	"sort"
	"strconv"
)

// Table sizes. A size over 100 times the number of servers keeps shares within about 1 % of the weights.
const (
	DefaultTableSize = 65537    // as in the paper; good for 600 servers
	MinTableSize     = 251      // IPVS's smallest
	MaxTableSize     = 16777213 // the largest prime under 2^24: 32 MB per table, two to three seconds to fill
)

// lastTurns is how many of the last free positions are found by arithmetic. Walking to the k-th last takes M/k
// steps on average: the last 64 would take near half of all the steps at M = 65537.
const lastTurns = 64

// Maglev is consistent hashing: a flow's server depends on the packet alone, and few flows move when servers change.
var Maglev = &Scheduler{name: "maglev", check: checkMaglev, build: buildMaglev}

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
	turns := turnOrder(servers, size)
	for _, server := range turns[:size-lastTurns] {
		at := permutations[server].nextFree(slots)
		slots[at] = servers[server].Slot
	}
	free := freePositions(slots)
	for _, server := range turns[size-lastTurns:] {
		nearest := permutations[server].nearest(free, size)
		slots[free[nearest]] = servers[server].Slot
		free = slices.Delete(free, nearest, nearest+1)
	}
	return slots
}

func freePositions(slots []uint16) []uint32 {
	free := make([]uint32, 0, lastTurns)
	for at, slot := range slots {
		if slot == None {
			free = append(free, uint32(at))
		}
	}
	return free
}

// turnOrder returns the servers in the order of their turns for size positions. A server whose credit grows by
// weight in every round can pay its k-th turn, at the price of the largest weight, in round ceil(k*largest/weight),
// counted from 1; which is floor((k*largest-1)/weight), counted from 0.
func turnOrder(servers []Server, size int) []uint16 {
	largest := uint64(0)
	for _, s := range servers {
		largest = max(largest, uint64(s.Weight))
	}
	paces := make([]pace, len(servers))
	for i, s := range servers {
		w := uint64(s.Weight)
		paces[i] = pace{round: (largest - 1) / w, over: (largest - 1) % w, whole: largest / w, part: largest % w, per: w}
	}
	return inRounds(paces, roundsFor(servers, largest, size))[:size]
}

// roundsFor returns how many rounds it takes to give out size turns: size at most, as the heaviest has one in each.
func roundsFor(servers []Server, largest uint64, size int) uint64 {
	return uint64(sort.Search(size, func(rounds int) bool {
		turns := uint64(0)
		for _, s := range servers {
			turns += uint64(rounds) * uint64(s.Weight) / largest
		}
		return turns >= uint64(size)
	}))
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

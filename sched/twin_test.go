package sched_test

import (
	"cmp"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"turnout/sched"
)

// The slow twins follow the definitions in the package comment, sentence by sentence.

func sortedByID(list []sched.Server) []sched.Server {
	return slices.SortedFunc(slices.Values(list), func(a, b sched.Server) int { return cmp.Compare(a.ID, b.ID) })
}

func slowMix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	return x
}

func slowHash(seed uint64, id string) uint64 {
	h := uint64(14695981039346656037) ^ seed
	for _, b := range []byte(id) {
		h ^= uint64(b)
		h *= 1099511628211
	}
	return slowMix(h)
}

// slowPermutation is the paper's formula.
func slowPermutation(id string, m int) []int {
	offset := slowHash(0x6f6666736574, id) % uint64(m)
	skip := slowHash(0x736b6970, id)%uint64(m-1) + 1
	permutation := make([]int, m)
	for j := range permutation {
		permutation[j] = int((offset + uint64(j)*skip) % uint64(m))
	}
	return permutation
}

// slowMaglev is the paper's pseudocode with a credit per server.
func slowMaglev(list []sched.Server, m int) []uint16 {
	entry := slices.Repeat([]uint16{sched.None}, m)
	if len(list) == 0 {
		return nil
	}
	list = sortedByID(list)
	permutation, next, credit := make([][]int, len(list)), make([]int, len(list)), make([]uint64, len(list))
	largest := uint64(0)
	for i, s := range list {
		permutation[i] = slowPermutation(s.ID, m)
		largest = max(largest, uint64(s.Weight))
	}
	for filled := 0; ; {
		for i, s := range list {
			if credit[i] += uint64(s.Weight); credit[i] < largest {
				continue
			}
			credit[i] -= largest
			for entry[permutation[i][next[i]]] != sched.None {
				next[i]++
			}
			entry[permutation[i][next[i]]] = s.Slot
			if filled++; filled == m {
				return entry
			}
		}
	}
}

// slowEffective gives the positions of servers that are not usable to others.
func slowEffective(list []sched.Server, m int) []uint16 {
	usable := slices.DeleteFunc(slices.Clone(list), func(s sched.Server) bool { return !s.Usable })
	if len(usable) == 0 {
		return nil
	}
	takes := map[uint16]bool{}
	for _, s := range usable {
		takes[s.Slot] = true
	}
	base, last := slowMaglev(list, m), slowMaglev(usable, m)
	effective := make([]uint16, m)
	for p := range effective {
		effective[p] = slowChoice(base, last, takes, p)
	}
	return effective
}

func slowChoice(base, last []uint16, takes map[uint16]bool, p int) uint16 {
	if takes[base[p]] {
		return base[p]
	}
	m := len(base)
	high, _ := bits.Mul64(slowMix(uint64(p)), uint64(m-1))
	step := int(high) + 1
	for k := 1; k <= 64; k++ {
		if owner := base[(p+k*step)%m]; takes[owner] {
			return owner
		}
	}
	return last[p]
}

// slowWRR is the loop of IPVS's wrr over one period.
func slowWRR(list []sched.Server) []uint16 {
	list = slices.DeleteFunc(sortedByID(list), func(s sched.Server) bool { return !s.Usable })
	largest, divisor, sum := 0, 0, 0
	for _, s := range list {
		largest, sum = max(largest, int(s.Weight)), sum+int(s.Weight)
		for divisor = max(divisor, int(s.Weight)); !divides(divisor, list); divisor-- {
		}
	}
	var slots []uint16
	for i, threshold := -1, 0; len(list) > 0 && len(slots) < sum/divisor; {
		if i = (i + 1) % len(list); i == 0 {
			if threshold -= divisor; threshold <= 0 {
				threshold = largest
			}
		}
		if int(list[i].Weight) >= threshold {
			slots = append(slots, list[i].Slot)
		}
	}
	return slots
}

func divides(divisor int, list []sched.Server) bool {
	return !slices.ContainsFunc(list, func(s sched.Server) bool { return int(s.Weight)%divisor != 0 })
}

// drawServers draws servers in any order, with any slots, IDs, weights up to the largest and usability.
func drawServers(t *rapid.T, atMost int, largest uint32) []sched.Server {
	slots := rapid.SliceOfNDistinct(rapid.Uint16Max(sched.None-1), 0, atMost, rapid.ID).Draw(t, "slots")
	ids := rapid.SliceOfNDistinct(rapid.StringN(0, 12, -1), len(slots), len(slots), rapid.ID).Draw(t, "ids")
	list := make([]sched.Server, len(slots))
	for i := range list {
		list[i] = sched.Server{ID: ids[i], Slot: slots[i], Weight: rapid.Uint32Range(1, largest).Draw(t, "weight"),
			Usable: rapid.Bool().Draw(t, "usable"), Share: sched.FullShare}
	}
	return list
}

func TestMaglevIsItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{251, 509, 1021}).Draw(t, "size")
		list := drawServers(t, 20, rapid.SampledFrom([]uint32{1, 10, 100, 65535}).Draw(t, "largest"))
		p := plan(t, sched.Maglev, list, size)
		want := slowEffective(list, size)
		if got := owners(p.Table(list, 0)); !slices.Equal(got, want) {
			t.Fatalf("table is\n%v, the slow twin's is\n%v", got, want)
		}
	})
}

func TestMaglevIsItsTwinAtFullSize(t *testing.T) {
	for _, list := range [][]sched.Server{equal(10), equal(100), without(equal(50), 3, 4, 5), only(equal(300), 7, 80, 290)} {
		got, want := owners(table(t, sched.Maglev, list, 65537)), slowEffective(list, 65537)
		if !slices.Equal(got, want) {
			t.Errorf("%d servers: the table differs from the slow twin's", len(list))
		}
	}
}

func TestWRRIsItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawServers(t, 8, 30)
		p := plan(t, sched.WRR, list, 0)
		if got, want := sequence(p.Table(list, 0)), slowWRR(list); !slices.Equal(got, want) {
			t.Fatalf("sequence is %v, the slow twin's is %v", got, want)
		}
	})
}

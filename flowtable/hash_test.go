package flowtable_test

import (
	"math"
	"testing"

	. "turnout/flowtable"
)

// TestHashSpreads takes keys that differ in one field only, in sequence, as
// many as buckets: the buckets' fill must be what chance gives (Poisson with
// mean 1), for the primary, the secondary, and the tag.
func TestHashSpreads(t *testing.T) {
	const buckets = 1 << 16
	for name, key := range map[string]func(n uint32) Key{
		"clients":         func(n uint32) Key { return Key{Client: n, ClientPort: 40000, VIPPort: 80, Service: 1} },
		"networks":        func(n uint32) Key { return Key{Client: n << 16, ClientPort: 40000, VIPPort: 80, Service: 1} },
		"client ports":    func(n uint32) Key { return Key{Client: 0x0a000001, ClientPort: uint16(n), VIPPort: 80, Service: 1} },
		"VIP ports":       func(n uint32) Key { return Key{Client: 0x0a000001, ClientPort: 40000, VIPPort: uint16(n), Service: 1} },
		"services":        func(n uint32) Key { return Key{Client: 0x0a000001, ClientPort: 40000, VIPPort: 80, Service: uint16(n)} },
		"client and port": nthKey,
	} {
		for _, seed := range [][2]uint64{{0, 0}, {1, 2}, {math.MaxUint64, math.MaxUint64}, {0x9e3779b97f4a7c15, 3}} {
			table, err := New(buckets, seed)
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			primaries, secondaries, tags := make([]int, buckets), make([]int, buckets), make([]int, 256)
			for n := range uint32(buckets) {
				k := key(n)
				p, s, tag := table.Choice(table.Hash(&k))
				primaries[p]++
				secondaries[s]++
				tags[tag]++
			}
			for what, fill := range map[string][]int{"primaries": primaries, "secondaries": secondaries} {
				if empty := share(fill, 0); math.Abs(empty-1/math.E) > 0.01 {
					t.Errorf("%s, seed %x: %.3f of the %s are empty, want 0.368", name, seed, empty, what)
				}
			}
			for tag, n := range tags[2:] { // tag 0 does not exist, 1 is twice as frequent
				if n < 160 || n > 360 { // 256 expected, 6 standard deviations
					t.Errorf("%s, seed %x: tag %d given %d times, want about 256", name, seed, tag+2, n)
				}
			}
			if tags[0] != 0 {
				t.Errorf("%s: tag 0 given", name)
			}
		}
	}
}

func share(fill []int, of int) float64 {
	n := 0
	for _, f := range fill {
		if f == of {
			n++
		}
	}
	return float64(n) / float64(len(fill))
}

func TestHashDependsOnTheSeed(t *testing.T) {
	k := nthKey(1)
	seen := make(map[uint64]bool)
	for _, seed := range [][2]uint64{{0, 0}, {1, 0}, {0, 1}, {1 << 63, 0}, {0, 1 << 63}} {
		table, err := New(10, seed)
		if err != nil {
			t.Fatal(err)
		}
		seen[table.Hash(&k)] = true
		table.Close()
	}
	if len(seen) != 5 {
		t.Errorf("5 seeds, %d hashes", len(seen))
	}
}

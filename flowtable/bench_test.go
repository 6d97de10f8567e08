package flowtable_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"turnout/flowtable"
)

const (
	burst  = 64
	minute = 60 * flowtable.TicksPerSecond
)

var benchSizes = []int{10_000, 1_000_000, 10_000_000}

// BenchmarkBurst times one packet of a burst of 64: key made, hashed, looked up.
func BenchmarkBurst(b *testing.B) {
	for _, entries := range benchSizes {
		b.Run(fmt.Sprintf("flows=%d", entries), func(b *testing.B) {
			t := filled(b, entries)
			b.Run("hit", func(b *testing.B) { lookupBursts(b, t, 0, uint32(entries)) })
			b.Run("miss", func(b *testing.B) { lookupBursts(b, t, 1<<31, uint32(entries)) })
			b.Run("hit-no-secondary-prefetch", func(b *testing.B) { lookupBurstsOneStage(b, t, uint32(entries)) })
			b.Run("hit-one-by-one", func(b *testing.B) { lookupOneByOne(b, t, uint32(entries)) })
			b.Run("insert", func(b *testing.B) { insertBursts(b, t) })
		})
	}
}

// nthKey spreads flows over clients and ports as a client population does.
func nthKey(n uint32) flowtable.Key {
	return flowtable.Key{Client: 0x0a000000 + n>>4, ClientPort: uint16(32768 + n&15), VIPPort: 80, Service: 1}
}

func filled(tb testing.TB, entries int) *flowtable.Table {
	t := newTable(tb, entries)
	for n := range uint32(entries) {
		insertNth(t, n, 0, 10*minute)
	}
	return t
}

func newTable(tb testing.TB, entries int) *flowtable.Table {
	tb.Helper()
	t, err := flowtable.New(entries, [2]uint64{1, 2})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := t.Close(); err != nil {
			tb.Error(err)
		}
	})
	return t
}

func insertNth(t *flowtable.Table, n, now, life uint32) *flowtable.Flow {
	k := nthKey(n)
	f := t.Insert(t.Hash(&k), &k, now)
	if f != nil {
		f.Expiry, f.State = now+life, flowtable.Established
	}
	return f
}

func lookupBursts(b *testing.B, t *flowtable.Table, first, flows uint32) {
	var keys [burst]flowtable.Key
	var hashes [burst]uint64
	random := rand.NewPCG(1, 2)
	found := 0
	b.ReportAllocs()
	for done := 0; done < b.N; done += burst {
		for i := range keys {
			keys[i] = nthKey(first + uint32(uint64(uint32(random.Uint64()))*uint64(flows)>>32))
			hashes[i] = t.Hash(&keys[i])
		}
		t.Prefetch(hashes[:])
		t.PrefetchSecondary(hashes[:])
		for i := range keys {
			if t.Lookup(hashes[i], &keys[i], 1) != nil {
				found++
			}
		}
	}
	if want := first == 0; (found > 0) != want {
		b.Errorf("found %d flows", found)
	}
}

func lookupBurstsOneStage(b *testing.B, t *flowtable.Table, flows uint32) {
	var keys [burst]flowtable.Key
	var hashes [burst]uint64
	random := rand.NewPCG(1, 2)
	for done := 0; done < b.N; done += burst {
		for i := range keys {
			keys[i] = nthKey(uint32(uint64(uint32(random.Uint64())) * uint64(flows) >> 32))
			hashes[i] = t.Hash(&keys[i])
		}
		t.Prefetch(hashes[:])
		for i := range keys {
			if t.Lookup(hashes[i], &keys[i], 1) == nil {
				b.Fatal("missing")
			}
		}
	}
}

func lookupOneByOne(b *testing.B, t *flowtable.Table, flows uint32) {
	random := rand.NewPCG(1, 2)
	for range b.N {
		k := nthKey(uint32(uint64(uint32(random.Uint64())) * uint64(flows) >> 32))
		if t.Lookup(t.Hash(&k), &k, 1) == nil {
			b.Fatal("missing")
		}
	}
}

// insertBursts adds flows nobody has seen to a full table, and takes them out
// again outside the clock.
func insertBursts(b *testing.B, t *flowtable.Table) {
	var keys [burst]flowtable.Key
	var hashes [burst]uint64
	n := uint32(1 << 31)
	b.ReportAllocs()
	for done := 0; done < b.N; done += burst {
		for i := range keys {
			n += 7919
			keys[i] = nthKey(n)
			hashes[i] = t.Hash(&keys[i])
		}
		t.Prefetch(hashes[:])
		t.PrefetchSecondary(hashes[:])
		for i := range keys {
			if f := t.Lookup(hashes[i], &keys[i], 1); f == nil {
				if f = t.Insert(hashes[i], &keys[i], 1); f != nil {
					f.Expiry, f.State = minute, flowtable.SynReceived
				}
			}
		}
		for i := range keys {
			if f := t.Lookup(hashes[i], &keys[i], 1); f != nil {
				t.Remove(f)
			}
		}
		t.ClearLeft()
	}
}

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

// life is the mean life of a flow in these tables, in ticks.
const life = 10 * minute

// Benchmark times one packet, its key and hash included, in bursts of 64 over
// a table that holds as many flows as it promises; "sweep" times one bucket and
// "expire" one flow that the sweeper takes out.
func Benchmark(b *testing.B) {
	for _, entries := range benchSizes {
		b.Run(fmt.Sprintf("flows=%d", entries), func(b *testing.B) {
			t := filled(b, entries)
			b.Run("hit", func(b *testing.B) { lookups(b, t, 0, b.N) })
			b.Run("miss", func(b *testing.B) { lookups(b, t, 1<<31, 0) })
			b.Run("hit/one-by-one", func(b *testing.B) { lookupsOneByOne(b, t) })
			b.Run("sweep", func(b *testing.B) { sweeps(b, t) })
			b.Run("new", func(b *testing.B) { newFlows(b, t) })
			b.Run("expire", func(b *testing.B) { expiries(b, t) })
		})
	}
}

// nthKey spreads flows over clients and ports as a client population does.
func nthKey(n uint32) flowtable.Key {
	return flowtable.Key{Client: 0x0a000000 + n>>4, ClientPort: uint16(32768 + n&15), VIPPort: 80, Service: 1}
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

// filled returns a table with its promised number of flows, whose lives end
// one after the other over twice the mean life.
func filled(tb testing.TB, entries int) *flowtable.Table {
	t := newTable(tb, entries)
	fill(t)
	return t
}

func fill(t *flowtable.Table) {
	for n := range uint32(t.Capacity()) {
		k := nthKey(n)
		admit(t, t.Hash(&k), &k, 0, 1+n%(2*life))
	}
}

func admit(t *flowtable.Table, h uint64, k *flowtable.Key, now, life uint32) {
	if f := t.Insert(h, k, now); f != nil {
		f.Expiry, f.State = now+life, flowtable.Established
	}
}

// lookups looks up random flows among as many as the table holds, from first on.
func lookups(b *testing.B, t *flowtable.Table, first uint32, want int) {
	var keys [burst]flowtable.Key
	var hashes [burst]uint64
	random, flows, found := rand.NewPCG(1, 2), uint64(t.Capacity()), 0
	b.ReportAllocs()
	for done := 0; done < b.N; done += burst {
		for i := range keys {
			keys[i] = nthKey(first + uint32(random.Uint64()>>32*flows>>32))
			hashes[i] = t.Hash(&keys[i])
		}
		t.Prefetch(hashes[:])
		t.PrefetchSecondary(hashes[:])
		for i := range keys {
			if t.Lookup(hashes[i], &keys[i], 0) != nil {
				found++
			}
		}
	}
	if found < want || want == 0 && found != 0 {
		b.Errorf("found %d flows, want %d", found, want)
	}
}

func lookupsOneByOne(b *testing.B, t *flowtable.Table) {
	random, flows := rand.NewPCG(1, 2), uint64(t.Capacity())
	for range b.N {
		k := nthKey(uint32(random.Uint64() >> 32 * flows >> 32))
		if t.Lookup(t.Hash(&k), &k, 0) == nil {
			b.Fatal("missing")
		}
	}
}

// newFlows sends nothing but new flows, at the rate at which the live ones
// stay as many as the table promises, with the sweeper at work.
func newFlows(b *testing.B, t *flowtable.Table) {
	var keys [burst]flowtable.Key
	var hashes [burst]uint64
	came := t.Stats.Inserts
	b.ReportAllocs()
	for done := 0; done < b.N; done += burst {
		now := uint32(came * life / uint64(t.Capacity()))
		for i := range keys {
			keys[i] = nthKey(uint32(came))
			hashes[i] = t.Hash(&keys[i])
			came++
		}
		t.Prefetch(hashes[:])
		t.PrefetchSecondary(hashes[:])
		for i := range keys {
			if t.Lookup(hashes[i], &keys[i], now) == nil {
				admit(t, hashes[i], &keys[i], now, life)
			}
		}
		t.Sweep(now, t.SweepBudget(now))
		t.ClearLeft()
	}
	if t.Stats.Inserts != came {
		b.Errorf("%d of %d flows got an entry", t.Stats.Inserts, came)
	}
}

// sweeps visits buckets of which no flow has expired.
func sweeps(b *testing.B, t *flowtable.Table) {
	for done := 0; done < b.N; done += burst {
		t.Sweep(0, burst)
	}
}

func expiries(b *testing.B, t *flowtable.Table) {
	const late = 1 << 30 // beyond the life of any flow of these benchmarks
	for done := 0; done < b.N; done += len(t.Left()) {
		t.ClearLeft()
		if t.Stats.Entries == 0 {
			b.StopTimer()
			fill(t)
			b.StartTimer()
		}
		t.Sweep(late, burst)
	}
}

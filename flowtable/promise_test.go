package flowtable_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	. "turnout/flowtable"
)

// TestSizePromise holds a table at as many live flows as it promises, with
// flows of random life coming and going, and counts the inserts that cost an
// unexpired flow or failed.
func TestSizePromise(t *testing.T) {
	for _, entries := range benchSizes {
		t.Run(fmt.Sprint(entries), func(t *testing.T) {
			if testing.Short() && entries > 1_000_000 {
				t.Skip("-short: not with 640 MB")
			}
			table := newTable(t, entries)
			if spare := table.MemorySize() - 64*entries; spare < 0 || spare >= 2<<20 { // hugetlb rounds up
				t.Errorf("%d bytes for %d flows", table.MemorySize(), entries)
			}
			churn(t, table, 3*entries)
			s := table.Stats
			t.Logf("%+v, %.2f %% at home, %s", s, 100*table.AtHome(), table.Backing())
			if s.Entries < uint64(entries) {
				t.Errorf("%d flows held, the test means to hold %d", s.Entries, entries)
			}
			if bad := s.Evictions + s.Full; bad*100_000 > s.Inserts {
				t.Errorf("%d of %d inserts evicted or failed", bad, s.Inserts)
			}
			if table.AtHome() < 0.90 {
				t.Errorf("%.3f of the flows in their primary", table.AtHome())
			}
			check(t, table)
		})
	}
}

// churn inserts flows at a steady rate, with lives between 1 and 2*mean ticks,
// so that after 2*mean ticks as many are live as the table has entries.
// All are Established: none may be evicted. The sweeper gets no turns but those
// of the bursts and is left behind, so the table holds about 1.45 flows for
// each live one.
func churn(t *testing.T, table *Table, inserts int) {
	const mean = 64 * TicksPerSecond
	perTick := float64(table.Capacity()) / mean
	random := rand.New(rand.NewPCG(1, 2))
	live := 0
	for n := range inserts {
		now := uint32(float64(n) / perTick)
		k := nthKey(uint32(n))
		h := table.Hash(&k)
		if table.Lookup(h, &k, now) != nil {
			t.Fatalf("flow %d is there before it came", n)
		}
		if f := table.Insert(h, &k, now); f != nil {
			f.Expiry, f.State = now+1+random.Uint32N(2*mean), Established
			live++
		}
		if n%burst == 0 {
			table.Sweep(now, table.SweepBudget(now))
			live -= len(table.Left())
			table.ClearLeft()
		}
	}
	if uint64(live-len(table.Left())) != table.Stats.Entries {
		t.Errorf("%d flows came and did not leave, the table holds %d", live-len(table.Left()), table.Stats.Entries)
	}
}

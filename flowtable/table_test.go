package flowtable_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	. "turnout/flowtable"
)

// put inserts a flow, which must have room, with a state and a life in ticks.
func put(tb testing.TB, t *Table, k Key, now, life uint32, s State) *Flow {
	tb.Helper()
	f := t.Insert(t.Hash(&k), &k, now)
	if f == nil {
		tb.Fatalf("no room for %+v", k)
	}
	f.Expiry, f.State = now+life, s
	return f
}

func has(t *Table, k Key, now uint32) bool { return t.Lookup(t.Hash(&k), &k, now) != nil }

func check(tb testing.TB, t *Table) {
	tb.Helper()
	if err := t.Check(); err != nil {
		tb.Fatal(err)
	}
}

func TestInsertReturnsZeroedFlow(t *testing.T) {
	table := newTable(t, 2)
	k := Key{Client: 0xc0a83987, ClientPort: 40000, VIPPort: 443, Service: 7}
	f := put(t, table, k, 0, minute, Established)
	f.Slot, f.Start, f.Pinned = 1, 2, 3
	table.Remove(f)
	got := *table.Insert(table.Hash(&k), &k, 0) // in the same slot
	want := Flow{Client: 0xc0a83987, ClientPort: 40000, VIPPort: 443, Service: 7}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLookupWantsTheWholeKey(t *testing.T) {
	table := newTable(t, 2) // two buckets: every look-up comes by every flow
	k := Key{Client: 1, ClientPort: 2, VIPPort: 3, Service: 4}
	put(t, table, k, 0, minute, Established)
	for _, other := range []Key{{2, 2, 1, 4}, {3, 3, 1, 4}, {3, 2, 2, 4}, {3, 2, 1, 5}} {
		// The hash of k, so that tag and bucket agree and the key alone decides.
		if table.Lookup(table.Hash(&k), &other, 0) != nil {
			t.Errorf("%+v found as %+v", k, other)
		}
	}
	if !has(table, k, 0) {
		t.Error("not found by its own key")
	}
}

// TestRemovedFlowIsNotFoundByItsRemains covers the one case in which looking at
// three tags at once takes an empty slot for a match: tag 1, above another 1.
func TestRemovedFlowIsNotFoundByItsRemains(t *testing.T) {
	table := newTable(t, 2)
	var keys []Key
	for n := uint32(0); len(keys) < 3; n++ {
		k := nthKey(n)
		if p, _, tag := table.Choice(table.Hash(&k)); p == 0 && tag == 1 {
			keys = append(keys, k)
			put(t, table, k, 0, minute, Established)
		}
	}
	for _, k := range keys[1:] {
		table.Remove(table.Lookup(table.Hash(&k), &k, 0))
		if has(table, k, 0) {
			t.Errorf("%+v found after its removal", k)
		}
	}
	if !has(table, keys[0], 0) {
		t.Errorf("%+v lost", keys[0])
	}
}

func TestExpiryAcrossTheClocksWrap(t *testing.T) {
	for _, start := range []uint32{0, 1<<31 - 5, 1 << 31, 1<<32 - 5, 1<<32 - 1} {
		table := newTable(t, 100)
		k := nthKey(1)
		put(t, table, k, start, 10, Established)
		for _, after := range []uint32{0, 1, 9} {
			if !has(table, k, start+after) {
				t.Fatalf("start %d: gone after %d of 10 ticks", start, after)
			}
		}
		if has(table, k, start+10) {
			t.Errorf("start %d: there after its 10 ticks", start)
		}
		if left := table.Left(); len(left) != 1 || left[0].Key() != k {
			t.Errorf("start %d: left %+v", start, left)
		}
		if s := table.Stats; s.Expirations != 1 || s.Entries != 0 {
			t.Errorf("start %d: %+v", start, s)
		}
	}
}

// TestEvictionOrder fills both buckets of a table of two, so that each insert
// has the six flows to choose from.
func TestEvictionOrder(t *testing.T) {
	table := newTable(t, 2)
	for i, flow := range []struct {
		life  uint32
		state State
	}{{1, Established}, {2, UDP}, {50, SynReceived}, {40, FinWait}, {30, TimeWait}, {60, Close}} {
		put(t, table, nthKey(uint32(i)), 0, flow.life, flow.state)
	}
	for i, gone := range []uint32{4, 3, 2, 5} {
		put(t, table, nthKey(100+uint32(i)), 0, 10, Established)
		left := table.Left()
		if len(left) != 1 || left[0].Key() != nthKey(gone) {
			t.Fatalf("insert %d: left %+v, want flow %d", i, left, gone)
		}
		table.ClearLeft()
		check(t, table)
	}
	k := nthKey(200)
	if table.Insert(table.Hash(&k), &k, 0) != nil {
		t.Error("an established or UDP flow was evicted")
	}
	want := Stats{Entries: 6, Inserts: 10, Evictions: 4, Full: 1, Displacements: table.Stats.Displacements}
	if diff := cmp.Diff(want, table.Stats); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Time passes: an expired flow makes room, whatever its state.
	put(t, table, k, 1, 10, Established)
	if left := table.Left(); len(left) != 1 || left[0].Key() != nthKey(0) {
		t.Errorf("left %+v, want flow 0", left)
	}
}

func TestLeftFullKeepsFlows(t *testing.T) {
	table := newTable(t, 1000)
	for n := range uint32(1000) {
		put(t, table, nthKey(n), 0, 1, SynReceived)
	}
	for n := range uint32(1000) {
		if found := has(table, nthKey(n), 1); found != (n >= LeftSize) {
			t.Fatalf("flow %d: found %v", n, found)
		}
	}
	if len(table.Left()) != LeftSize || table.Stats.Expirations != LeftSize {
		t.Errorf("%d left, %+v", len(table.Left()), table.Stats)
	}
	table.Sweep(1, 1000)
	if table.Stats.Entries != 1000-LeftSize {
		t.Errorf("swept with no place in Left: %+v", table.Stats)
	}
	for range 10 {
		table.ClearLeft()
		table.Sweep(1, 1000)
	}
	if table.Stats.Entries != 0 {
		t.Errorf("not swept: %+v", table.Stats)
	}
	check(t, table)
}

func TestLeftFullRefusesEviction(t *testing.T) {
	table := newTable(t, 1000)
	for n := range uint32(LeftSize) {
		put(t, table, nthKey(n), 0, 1, Established)
		has(table, nthKey(n), 1)
	}
	refused := false
	for n := uint32(0); n < 5000; n++ {
		k := nthKey(10_000 + n)
		f := table.Insert(table.Hash(&k), &k, 1)
		if f == nil {
			refused = true
			break
		}
		f.Expiry, f.State = minute, SynReceived
	}
	if !refused || table.Stats.Evictions != 0 {
		t.Errorf("%+v", table.Stats)
	}
	check(t, table)
}

func TestOverflowSticksAtItsMaximum(t *testing.T) {
	table := newTable(t, 2)
	for n := range uint32(6) {
		put(t, table, nthKey(n), 0, minute, Established)
	}
	table.SetOverflow(255)
	for n := range uint32(6) {
		k := nthKey(n)
		table.Remove(table.Lookup(table.Hash(&k), &k, 0))
	}
	for i := range uint64(2) {
		if got := table.Overflow(i); got != 255 {
			t.Errorf("bucket %d: %d", i, got)
		}
	}
	for n := range uint32(6) {
		put(t, table, nthKey(n), 0, minute, Established)
	}
	check(t, table)
}

func TestSweepVisitsAllInOnePass(t *testing.T) {
	for _, entries := range []int{2, 50, 1000, 20_000} {
		table := newTable(t, entries)
		for n := range uint32(entries) {
			put(t, table, nthKey(n), 0, 1, Established)
		}
		swept := 0
		for now := uint32(0); now <= PassTicks+1; now++ {
			for {
				budget := table.SweepBudget(now)
				if budget == 0 {
					break
				}
				if budget > burst {
					t.Fatalf("%d entries: budget %d", entries, budget)
				}
				table.Sweep(now, budget)
				swept += len(table.Left())
				table.ClearLeft()
			}
			if now == PassTicks/2 && (swept < entries/3 || swept > entries*2/3) {
				t.Errorf("%d entries: %d swept after half a pass", entries, swept)
			}
		}
		if swept != entries || table.Stats.Entries != 0 {
			t.Errorf("%d entries: %d swept, %+v", entries, swept, table.Stats)
		}
		check(t, table)
	}
}

func TestSweepBudgetAfterASleepIsOnePass(t *testing.T) {
	table := newTable(t, 1000)
	for now := range uint32(2) { // the second time with a clock that went back
		visits := 0
		for budget := -1; budget != 0; {
			budget = table.SweepBudget(1<<20 - now)
			table.Sweep(1<<20-now, budget)
			visits += budget
		}
		if visits != 1000 {
			t.Errorf("%d visits", visits)
		}
	}
}

func TestCopyFrom(t *testing.T) {
	table := newTable(t, 1000)
	want := make(map[Key]bool)
	for n := range uint32(1000) {
		put(t, table, nthKey(n), 0, minute, Established)
		want[nthKey(n)] = true
	}
	for _, size := range []int{3, 10, 100, 1000} {
		got := make(map[Key]bool)
		out := make([]Flow, size)
		for cursor, done := uint64(0), false; !done; {
			var n int
			before := cursor
			n, cursor, done = table.CopyFrom(cursor, 1000, out)
			if cursor == before || cursor-before > 64 {
				t.Fatalf("room for %d: cursor from %d to %d", size, before, cursor)
			}
			for i := range out[:n] {
				got[out[i].Key()] = true
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("room for %d: -want +got:\n%s", size, diff)
		}
	}
	if n, next, done := table.CopyFrom(1<<40, 10, make([]Flow, 3)); n != 0 || !done {
		t.Errorf("beyond the end: %d, %d, %v", n, next, done)
	}
}

func TestNoAllocations(t *testing.T) {
	table := newTable(t, 1000)
	var keys [burst]Key
	var hashes [burst]uint64
	var out [burst]Flow
	n, now := uint32(0), uint32(0)
	allocations := testing.AllocsPerRun(1000, func() {
		for i := range keys {
			keys[i] = nthKey(n)
			hashes[i] = table.Hash(&keys[i])
			n++
		}
		table.Prefetch(hashes[:])
		table.PrefetchSecondary(hashes[:])
		for i := range keys {
			if table.Lookup(hashes[i], &keys[i], now) == nil {
				if f := table.Insert(hashes[i], &keys[i], now); f != nil {
					f.Expiry, f.State = now+80, SynReceived
				}
			}
		}
		now++
		table.Sweep(now, table.SweepBudget(now))
		table.ClearLeft()
		table.CopyFrom(0, burst, out[:])
	})
	if allocations != 0 {
		t.Errorf("%v allocations a burst", allocations)
	}
	if s := table.Stats; s.Evictions == 0 || s.Expirations == 0 || s.Displacements == 0 {
		t.Errorf("a path was not taken: %+v", s)
	}
}

func TestPrefetchTakesAnyBurst(t *testing.T) {
	table := newTable(t, 1000)
	for _, hashes := range [][]uint64{nil, {0}, {^uint64(0)}, make([]uint64, burst)} {
		table.SetOverflow(0)
		table.Prefetch(hashes)
		table.PrefetchSecondary(hashes)
		table.SetOverflow(1)
		table.PrefetchSecondary(hashes)
	}
}

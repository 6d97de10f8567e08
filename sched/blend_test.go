package sched_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"turnout/sched"
)

func TestBlendBeginsAndEndsWithItsTables(t *testing.T) {
	for _, name := range sched.Names() {
		s, _ := sched.Lookup(name)
		from, to := table(t, s, servers(1, 2, 3), 251), table(t, s, servers(3, 2, 1), 251)
		if got := sched.Blend(from, to, 0); got != from {
			t.Errorf("%s: share 0 is not the table from which it comes", name)
		}
		if got := sched.Blend(from, to, sched.FullShare); got != to {
			t.Errorf("%s: the full share is not the table to which it goes", name)
		}
	}
}

// TestTablesThatDoNotMixGiveTheNewOne at once.
func TestTablesThatDoNotMixGiveTheNewOne(t *testing.T) {
	small, large := table(t, sched.Maglev, equal(3), 251), table(t, sched.Maglev, equal(3), 257)
	rr, lc, none := table(t, sched.RR, equal(3), 0), table(t, sched.LC, equal(3), 0), table(t, sched.RR, nil, 0)
	for _, pair := range [][2]*sched.Table{{small, large}, {small, rr}, {rr, small}, {rr, lc}, {lc, rr}, {none, rr}, {rr, none}, {small, none}} {
		for _, share := range []uint32{0, 1000} {
			if sched.Blend(pair[0], pair[1], share) != pair[1] {
				t.Errorf("share %d of %v: not the table to which it goes", share, pair)
			}
		}
	}
}

func TestBlendMovesEveryPositionOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := table(t, sched.Maglev, drawServers(t, 8, 10), 251), table(t, sched.Maglev, drawServers(t, 8, 10), 251)
		if from.Len() == 0 || to.Len() == 0 {
			return
		}
		before, target := owners(from), owners(to)
		for _, share := range drawShares(t) {
			after := owners(sched.Blend(from, to, share))
			for at := range after {
				if after[at] != before[at] && after[at] != target[at] {
					t.Fatalf("share %d: position %d moves from slot %d to %d, its last is %d", share, at, before[at], after[at], target[at])
				}
			}
			before = after
		}
	})
}

func TestBlendTakesItsShareOfPositions(t *testing.T) {
	from, to := table(t, sched.Maglev, only(equal(2), 0), 65537), table(t, sched.Maglev, only(equal(2), 1), 65537)
	for _, share := range []uint32{65, 6554, 32768, 60000} {
		expected := 65537 * float64(share) / sched.FullShare
		if got := float64(count(owners(sched.Blend(from, to, share)))[1]); math.Abs(got-expected) > 5*math.Sqrt(expected) {
			t.Errorf("at share %d the new table has %v positions, want %.0f", share, got, expected)
		}
	}
}

// TestRampAndBlendAreIndependent: a server that ramps up to a half in both tables has a half of what either gives it.
func TestRampAndBlendAreIndependent(t *testing.T) {
	list := shared(equal(2), 0, sched.FullShare/2)
	p := plan(t, sched.Maglev, list, 65537)
	blended := count(owners(sched.Blend(p.Table(list, 0), p.Table(only(list, 1), 0), sched.FullShare/2)))
	// The server has its half of its half, and half as much of that comes back to it on walks; the blend leaves it half.
	ramped := float64(count(owners(p.Table(list, 0)))[0])
	if got := float64(blended[0]); math.Abs(got-ramped/2) > 5*math.Sqrt(ramped/2) {
		t.Errorf("the server has %v positions, want %.0f", got, ramped/2)
	}
}

func TestBlendTakesTurnsInProportion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := drawServers(t, 6, 12)
		young := drawServers(t, 6, 12)
		for i := range young {
			young[i].Slot, young[i].Usable = uint16(i), true
		}
		for i := range old {
			old[i].Slot, old[i].Usable = uint16(1000+i), true
		}
		if len(old) == 0 || len(young) == 0 {
			return
		}
		s := rapid.SampledFrom([]*sched.Scheduler{sched.RR, sched.WRR, sched.FO, sched.LC, sched.TWOS}).Draw(t, "scheduler")
		share := rapid.Uint32Range(sched.FullShare/20, sched.FullShare-sched.FullShare/20).Draw(t, "share")
		from, to := table(t, s, old, 0), table(t, s, young, 0)
		oldTurns, youngTurns := sequence(from), sequence(to)
		taken, takenYoung := 0, 0
		for i, slot := range sequence(sched.Blend(from, to, share)) {
			if slot < 1000 {
				if want := youngTurns[takenYoung%len(youngTurns)]; slot != want {
					t.Fatalf("turn %d is slot %d, want the new table's next, %d", i, slot, want)
				}
				takenYoung++
			} else if want := oldTurns[(taken-takenYoung)%len(oldTurns)]; slot != want {
				t.Fatalf("turn %d is slot %d, want the old table's next, %d", i, slot, want)
			}
			taken++
			if want := taken * int(share) / sched.FullShare; takenYoung != want {
				t.Fatalf("of %d turns %d are the new table's, want %d", taken, takenYoung, want)
			}
		}
		if !s.Counts() && (takenYoung < len(youngTurns) || taken-takenYoung < len(oldTurns)) {
			t.Fatalf("not all turns are in it: %d of %d new ones, %d of %d old ones", takenYoung, len(youngTurns), taken-takenYoung, len(oldTurns))
		}
		if s.Counts() && taken != max(len(oldTurns), len(youngTurns)) {
			t.Fatalf("%d picks are foreseen, want as many as in either table", taken)
		}
	})
}

func TestBlendIsBounded(t *testing.T) {
	from, to := table(t, sched.WRR, servers(1000, 999, 777), 0), table(t, sched.WRR, servers(999, 1000, 777), 0)
	if n := sched.Blend(from, to, 1).Turns(); n > 1<<20 {
		t.Errorf("a blend has %d turns", n)
	}
}

// TestBlendOfCountingTables: flows that are not remembered go by the new weights.
func TestBlendOfCountingTables(t *testing.T) {
	list := servers(1, 2, 3)
	from, to := table(t, sched.WLC, list, 0), table(t, sched.WLC, list[:2], 0)
	blended := sched.Blend(from, to, sched.FullShare/2)
	var hashes []uint16
	for at := range to.Len() {
		hashes = append(hashes, blended.PickByHash(hashAt(at, to.Len())))
	}
	if want := []uint16{1, 0, 1}; !slices.Equal(hashes, want) {
		t.Errorf("flows that are not remembered go to %v, want %v", hashes, want)
	}
}

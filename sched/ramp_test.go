package sched_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"turnout/sched"
)

// byHash are the schedulers with hash tables.
var byHash = []*sched.Scheduler{sched.Maglev, sched.SH, sched.DH}

// drawShares draws shares that grow, to all.
func drawShares(t *rapid.T) []uint32 {
	shares := rapid.SliceOfN(rapid.Uint32Range(1, sched.FullShare-1), 1, 6).Draw(t, "shares")
	slices.Sort(shares)
	return append(shares, sched.FullShare)
}

// TestGrowingShareOnlyTakesPositions draws servers, some down, of which one ramps up: every position moves once at most,
// and then to that server.
func TestGrowingShareOnlyTakesPositions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawServers(t, 12, rapid.SampledFrom([]uint32{1, 10, 1000}).Draw(t, "largest"))
		if len(list) == 0 {
			return
		}
		ramping := &list[rapid.IntRange(0, len(list)-1).Draw(t, "ramping")]
		ramping.Usable = true
		p := plan(t, sched.Maglev, list, 509)
		var before []uint16
		for _, share := range drawShares(t) {
			ramping.Share = share
			after := owners(p.Table(list, 0))
			for at, owner := range before {
				if after[at] != owner && after[at] != ramping.Slot {
					t.Fatalf("share %d: position %d moves from slot %d to %d, slot %d ramps up", share, at, owner, after[at], ramping.Slot)
				}
			}
			before = after
		}
	})
}

func TestShareIsThatOfTheServersPositions(t *testing.T) {
	list := servers(1, 2, 3, 4)
	for _, s := range byHash {
		p := plan(t, s, list, 65537)
		full := count(owners(p.Table(list, 0)))[2]
		for _, share := range []uint32{655, 6554, 32768, 60000} {
			ramped := count(owners(p.Table(shared(list, 2, share), 0)))
			expected := float64(full) * float64(share) / sched.FullShare
			// Of its other positions, few come back to it on their walk.
			expected += (float64(full) - expected) * expected / (65537 - float64(full) + expected)
			if got := float64(ramped[2]); math.Abs(got-expected) > 5*math.Sqrt(expected) {
				t.Errorf("%v: at share %d the server has %v positions of %d, want %.0f", s, share, got, full, expected)
			}
		}
	}
}

// slowRamp goes through the turns so many times; of a server's turns, counted from 0, turn j stays if the number of those
// that are to stay, j*share rounded up, grows with it.
func slowRamp(turns []uint16, shares map[uint16]uint64, rounds int) []uint16 {
	var kept []uint16
	seen := map[uint16]uint64{}
	for range rounds {
		for _, slot := range turns {
			j := seen[slot]
			seen[slot]++
			if roundedUp((j+1)*shares[slot]) > roundedUp(j*shares[slot]) {
				kept = append(kept, slot)
			}
		}
	}
	return kept
}

func roundedUp(parts uint64) uint64 { return (parts + sched.FullShare - 1) / sched.FullShare }

func TestRampedSequenceIsItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom([]*sched.Scheduler{sched.RR, sched.WRR}).Draw(t, "scheduler")
		list, shares := drawServers(t, 8, 30), map[uint16]uint64{}
		rounds := 1
		for i := range list {
			list[i].Usable = true
			list[i].Share = rapid.OneOf(rapid.Just[uint32](sched.FullShare), rapid.Uint32Range(1, sched.FullShare)).Draw(t, "share")
			shares[list[i].Slot] = uint64(list[i].Share)
			for rounds < 64 && int(list[i].Share)*rounds%sched.FullShare != 0 {
				rounds *= 2
			}
		}
		p := plan(t, s, list, 0)
		whole := slices.Clone(list)
		for i := range whole {
			whole[i].Share = sched.FullShare
		}
		want := slowRamp(sequence(p.Table(whole, 0)), shares, rounds)
		if got := sequence(p.Table(list, 0)); !slices.Equal(got, want) {
			t.Fatalf("turns are\n%v, the slow twin's are\n%v", got, want)
		}
	})
}

func TestRampedSequenceByExample(t *testing.T) {
	for _, c := range []struct {
		scheduler *sched.Scheduler
		list      []sched.Server
		want      string
	}{
		{sched.RR, shared(equal(3), 1, sched.FullShare/2), "ABCAC"},
		{sched.RR, shared(equal(3), 0, sched.FullShare/4), "ABCBCBCBC"},
		{sched.RR, shared(equal(2), 0, 3*sched.FullShare/4), "ABABABB"},
		{sched.WRR, shared(servers(4, 3, 2), 0, sched.FullShare/2), "ABABCBCABABCBC"},
		{sched.WRR, shared(servers(1), 0, sched.FullShare/4), "A"},
	} {
		got := ""
		for _, slot := range sequence(table(t, c.scheduler, c.list, 0)) {
			got += string(rune('A' + slot))
		}
		if got != c.want {
			t.Errorf("%v gives %s, want %s", c.scheduler, got, c.want)
		}
	}
}

// TestRampedSequenceIsBounded: a sequence that is as long as it may be is not gone through twice.
func TestRampedSequenceIsBounded(t *testing.T) {
	list := shared(servers(1<<20-2, 1, 1), 2, 1)
	if n := table(t, sched.WRR, list, 0).Turns(); n > 1<<20 {
		t.Errorf("the sequence has %d turns", n)
	}
}

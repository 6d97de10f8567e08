package sched_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"turnout/sched"
)

func TestRRTakesTurnsInIDOrder(t *testing.T) {
	list := []sched.Server{
		{ID: "10.0.0.9", Slot: 4, Weight: 1, Usable: true, Share: sched.FullShare},
		{ID: "10.0.0.1", Slot: 7, Weight: 50, Usable: true, Share: sched.FullShare},
		{ID: "10.0.0.5", Slot: 0, Weight: 1},
		{ID: "10.0.0.10", Slot: 2, Weight: 3, Usable: true, Share: sched.FullShare},
	}
	rr := table(t, sched.RR, list, 0)
	var cursor uint32
	var got []uint16
	for range 7 {
		got = append(got, rr.Pick(12345, &cursor))
	}
	if want := []uint16{7, 2, 4, 7, 2, 4, 7}; !slices.Equal(got, want) {
		t.Errorf("rr gives slots %v, want %v", got, want)
	}
}

func TestWRROrder(t *testing.T) {
	for _, c := range []struct {
		list []sched.Server
		want string
	}{
		{servers(4, 3, 2), "AABABCABC"},
		{servers(40, 30, 20), "AABABCABC"},
		{servers(1, 1, 1), "ABC"},
		{servers(5), "A"},
		{servers(2, 4), "BAB"},
		{servers(0, 3), "BBAB"},
		{without(servers(4, 3, 2), 0), "BBCBC"},
		{without(servers(4, 3, 2), 1), "AAC"},
		{without(servers(4, 3, 2), 0, 1, 2), ""},
	} {
		got := ""
		for _, slot := range sequence(table(t, sched.WRR, c.list, 0)) {
			got += string(rune('A' + slot))
		}
		if got != c.want {
			t.Errorf("wrr of %v gives %s, want %s", c.list, got, c.want)
		}
	}
}

func TestWRRSharesAreExactUpToAMillionTurns(t *testing.T) {
	list := equal(1000)
	rng := rand.New(rand.NewPCG(3, 3))
	sum := 0
	for i := range list {
		list[i].Weight = 1 + rng.Uint32N(1000)
		sum += int(list[i].Weight)
	}
	slots := sequence(table(t, sched.WRR, list, 0))
	if len(slots) != sum {
		t.Fatalf("the sequence has %d turns, want %d", len(slots), sum)
	}
	turns := count(slots)
	for _, s := range list {
		if turns[s.Slot] != int(s.Weight) {
			t.Errorf("slot %d of weight %d has %d turns", s.Slot, s.Weight, turns[s.Slot])
		}
	}
}

func TestWRRSequenceIsBounded(t *testing.T) {
	weights := []uint32{math.MaxUint32, math.MaxUint32 - 1, 1 << 30, 1 << 20, 1}
	slots := sequence(table(t, sched.WRR, servers(weights...), 0))
	if len(slots) > 1<<20+len(weights) {
		t.Errorf("the sequence has %d turns", len(slots))
	}
	turns := count(slots)
	if turns[4] != 1 {
		t.Errorf("the lightest server has %d turns, want 1", turns[4])
	}
	checkShares(t, servers(weights[:4]...), turns, len(slots))
}

func TestCursorsOfLcoresStartApart(t *testing.T) {
	rr := table(t, sched.RR, equal(3), 0)
	for lcore, want := range []uint16{0, 1, 2, 0, 1, 2, 0} {
		cursor := uint32(lcore)
		if got := rr.Pick(0, &cursor); got != want {
			t.Errorf("the first pick of lcore %d is slot %d, want %d", lcore, got, want)
		}
	}
}

func TestCursorOutlivesItsTable(t *testing.T) {
	list := equal(5)
	p := plan(t, sched.RR, list, 0)
	long, short := p.Table(list, 0), p.Table(only(list, 1, 3), 0)
	cursor := uint32(math.MaxUint32)
	for range 20 {
		if slot := short.Pick(0, &cursor); slot != 1 && slot != 3 {
			t.Fatalf("the short table gives slot %d", slot)
		}
		if slot := long.Pick(0, &cursor); slot > 4 {
			t.Fatalf("the long table gives slot %d", slot)
		}
	}
}

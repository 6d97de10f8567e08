package sched_test

import (
	"fmt"
	"math/bits"
	"slices"

	"turnout/sched"
)

// servers returns usable servers on consecutive addresses, in slots from 0, with these weights.
func servers(weights ...uint32) []sched.Server {
	list := make([]sched.Server, len(weights))
	for i, w := range weights {
		list[i] = sched.Server{ID: fmt.Sprintf("10.7.%d.%d", i/250, 1+i%250), Slot: uint16(i), Weight: w, Usable: true, Share: sched.FullShare}
	}
	return list
}

// equal returns n servers of weight 1.
func equal(n int) []sched.Server {
	list := servers(make([]uint32, n)...)
	for i := range list {
		list[i].Weight = 1
	}
	return list
}

// without returns a copy of the list in which the servers in these slots are not usable.
func without(list []sched.Server, slots ...uint16) []sched.Server {
	list = append([]sched.Server(nil), list...)
	for _, slot := range slots {
		list[slot].Usable = false
	}
	return list
}

// only returns a copy of the list in which the servers in these slots alone are usable.
func only(list []sched.Server, slots ...uint16) []sched.Server {
	list = append([]sched.Server(nil), list...)
	for i := range list {
		list[i].Usable = slices.Contains(slots, list[i].Slot)
	}
	return list
}

// tester is a testing.TB or a rapid.T.
type tester interface {
	Helper()
	Fatal(args ...any)
}

func plan(t tester, s *sched.Scheduler, list []sched.Server, size int) *sched.Plan {
	t.Helper()
	p, err := s.Plan(list, sched.Options{TableSize: size})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// table returns the table of a new plan.
func table(t tester, s *sched.Scheduler, list []sched.Server, size int) *sched.Table {
	t.Helper()
	return plan(t, s, list, size).Table(list, 0)
}

// hashAt returns the smallest hash that belongs to a position of a table of that size.
func hashAt(position, size int) uint64 {
	hash, _ := bits.Div64(uint64(position), uint64(size-1), uint64(size))
	return hash
}

// owners reads a hash table through Pick, position by position.
func owners(t *sched.Table) []uint16 {
	slots := make([]uint16, t.Len())
	for at := range slots {
		slots[at] = t.Pick(hashAt(at, len(slots)), nil)
	}
	return slots
}

// shared returns a copy of the list in which the server in this slot has this share.
func shared(list []sched.Server, slot uint16, share uint32) []sched.Server {
	list = append([]sched.Server(nil), list...)
	list[slot].Share = share
	return list
}

// sequence reads a sequence table through Pick, once around.
func sequence(t *sched.Table) []uint16 {
	var cursor uint32
	slots := make([]uint16, t.Turns())
	for i := range slots {
		slots[i] = t.Pick(0, &cursor)
	}
	return slots
}

// count returns how many positions every slot has.
func count(slots []uint16) map[uint16]int {
	n := map[uint16]int{}
	for _, slot := range slots {
		n[slot]++
	}
	return n
}

// counting are the schedulers that count flows.
var counting = []*sched.Scheduler{sched.LC, sched.WLC, sched.SED, sched.NQ, sched.OVF, sched.TWOS}

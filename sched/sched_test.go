package sched_test

import (
	"slices"
	"testing"

	"turnout/sched"
)

func TestNamesLookUp(t *testing.T) {
	if got, want := sched.Names(), []string{"maglev", "rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "fo", "ovf", "twos"}; !slices.Equal(got, want) {
		t.Errorf("names are %v, want %v", got, want)
	}
	for _, name := range sched.Names() {
		if s, err := sched.Lookup(name); err != nil || s.String() != name {
			t.Errorf("Lookup(%q) = %v, %v", name, s, err)
		}
	}
	_, err := sched.Lookup("fastest")
	if want := `unknown scheduler "fastest": use one of maglev, rr, wrr, lc, wlc, sed, nq, sh, dh, fo, ovf, twos`; err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}

func TestNoServerGivesNone(t *testing.T) {
	for _, name := range sched.Names() {
		s, _ := sched.Lookup(name)
		for _, list := range [][]sched.Server{nil, only(equal(1)), only(equal(3)), shared(equal(1), 0, 0)} {
			cursor := uint32(5)
			empty := table(t, s, list, 0)
			for _, hash := range []uint64{0, 1, 1 << 63, 1<<64 - 1} {
				if slot := empty.Pick(hash, &cursor); slot != sched.None {
					t.Errorf("%s with no usable server of %d gives slot %d", name, len(list), slot)
				}
			}
		}
	}
	if slot := new(sched.Table).Pick(9, nil); slot != sched.None {
		t.Errorf("the zero table gives slot %d", slot)
	}
}

func TestPlanRefuses(t *testing.T) {
	server := func(id string, slot uint16) sched.Server { return sched.Server{ID: id, Slot: slot, Weight: 1} }
	for _, c := range []struct {
		list []sched.Server
		size int
		want string
	}{
		{[]sched.Server{server("10.0.0.1", 0), server("10.0.0.2", 1), server("10.0.0.1", 2)}, 0,
			"real server 10.0.0.1 is listed twice: remove one of the two"},
		{[]sched.Server{server("10.0.0.2", 3), server("10.0.0.1", 3)}, 0,
			"real servers 10.0.0.1 and 10.0.0.2 share slot 3: give each its own"},
		{[]sched.Server{server("10.0.0.2", sched.None)}, 0,
			"real server 10.0.0.2 has no slot: slots are 0 to 65534"},
		{equal(1), 1000, "table size 1000 is not a prime: use one such as 65537 or 655373"},
		{equal(252), 251, "table size 251 is less than the number of real servers, 252: use a prime of a hundred times as many"},
	} {
		_, err := sched.Maglev.Plan(c.list, sched.Options{TableSize: c.size})
		if err == nil || err.Error() != c.want {
			t.Errorf("the error is %v, want %s", err, c.want)
		}
	}
}

func TestOnlyMaglevReadsTableSize(t *testing.T) {
	if n := table(t, sched.RR, equal(3), 1000).Len(); n != 3 {
		t.Errorf("rr has %d positions, want 3", n)
	}
	if n := table(t, sched.Maglev, equal(3), 0).Len(); n != sched.DefaultTableSize {
		t.Errorf("maglev has %d positions, want the default %d", n, sched.DefaultTableSize)
	}
}

func TestPlanLeavesItsArgumentAlone(t *testing.T) {
	list := servers(0, 2, 1)
	slices.Reverse(list)
	want := slices.Clone(list)
	table(t, sched.Maglev, list, 251)
	if !slices.Equal(list, want) {
		t.Errorf("the list became %v, was %v", list, want)
	}
}

func TestPlanFitsWhileTheConfigurationStays(t *testing.T) {
	list, options := servers(1, 2, 3), sched.Options{TableSize: 251}
	p := plan(t, sched.Maglev, list, 251)
	changed := func(change func(s *sched.Server)) []sched.Server {
		c := slices.Clone(list)
		change(&c[1])
		return c
	}
	backwards := without(list, 0, 2)
	backwards[1].Share, backwards[1].Active, backwards[1].Inactive = 5, 6, 7
	slices.Reverse(backwards)
	if !p.Fits(sched.Maglev, backwards, options) {
		t.Error("the plan does not fit when usability, shares, counts and order change")
	}
	for name, list := range map[string][]sched.Server{
		"weight": changed(func(s *sched.Server) { s.Weight = 9 }),
		"ID":     changed(func(s *sched.Server) { s.ID = "10.0.0.77" }),
		"slot":   changed(func(s *sched.Server) { s.Slot = 77 }),
		"fewer":  list[:2],
	} {
		if p.Fits(sched.Maglev, list, options) {
			t.Errorf("the plan fits servers that differ in: %s", name)
		}
	}
	if p.Fits(sched.WRR, list, options) || p.Fits(sched.Maglev, list, sched.Options{TableSize: 257}) {
		t.Error("the plan fits another scheduler or size")
	}
}

func TestServerMissingFromTheListIsNotUsable(t *testing.T) {
	list := equal(3)
	got := count(owners(plan(t, sched.Maglev, list, 251).Table(list[:2], 0)))
	if got[2] != 0 || got[0]+got[1] != 251 {
		t.Errorf("shares are %v", got)
	}
}

func TestHashAndCounts(t *testing.T) {
	for name, want := range map[string]struct {
		hash   sched.HashKey
		counts bool
	}{
		"maglev": {}, "rr": {}, "wrr": {}, "fo": {},
		"sh": {hash: sched.HashSource}, "dh": {hash: sched.HashDestination},
		"lc": {counts: true}, "wlc": {counts: true}, "sed": {counts: true}, "nq": {counts: true}, "ovf": {counts: true}, "twos": {counts: true},
	} {
		s, err := sched.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Hash() != want.hash || s.Counts() != want.counts {
			t.Errorf("%s: Hash is %d and Counts is %v, want %d and %v", name, s.Hash(), s.Counts(), want.hash, want.counts)
		}
	}
}

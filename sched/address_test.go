package sched_test

import (
	"slices"
	"testing"

	"turnout/sched"
)

// slowBuckets is the loop by which IPVS fills buckets in sh, where a server comes weight times in a row, and in dh:
// until every server has had its turn.
func slowBuckets(list []sched.Server, weighted bool) []uint16 {
	var buckets []uint16
	for i, times := 0, uint32(0); i < len(list); {
		buckets = append(buckets, list[i].Slot)
		if times++; !weighted || times >= list[i].Weight {
			i, times = i+1, 0
		}
	}
	return buckets
}

// TestAddressSchedulersShareAsIPVS: a server has as much of the table as of IPVS's buckets.
func TestAddressSchedulersShareAsIPVS(t *testing.T) {
	list := servers(5, 1, 3, 60, 31)
	for s, weighted := range map[*sched.Scheduler]bool{sched.SH: true, sched.DH: false} {
		buckets := slowBuckets(list, weighted)
		want, got := count(buckets), count(owners(table(t, s, list, 251)))
		for slot, n := range want {
			if expected := sched.DefaultTableSize * n / len(buckets); got[slot] < expected-1 || got[slot] > expected+1 {
				t.Errorf("%v: slot %d has %d positions, want %d", s, slot, got[slot], expected)
			}
		}
	}
}

func TestSHIsMaglevsTable(t *testing.T) {
	list := without(servers(5, 1, 3, 1, 2), 2)
	if !slices.Equal(owners(table(t, sched.SH, list, 251)), slowEffective(list, sched.DefaultTableSize)) {
		t.Error("the table differs from the slow twin's of maglev")
	}
}

func TestAddressSchedulersKeepClientsWhenAServerFails(t *testing.T) {
	for _, s := range []*sched.Scheduler{sched.SH, sched.DH} {
		list := servers(5, 1, 3, 1, 2)
		p := plan(t, s, list, 0)
		before, after := owners(p.Table(list, 0)), owners(p.Table(without(list, 2), 0))
		gained := map[uint16]int{}
		for at, owner := range before {
			if owner == 2 {
				gained[after[at]]++
			} else if after[at] != owner {
				t.Fatalf("%v: position %d moved from slot %d to %d, though slot 2 failed", s, at, owner, after[at])
			}
		}
		if len(gained) != 4 || gained[2] != 0 {
			t.Errorf("%v: the failed server's positions went to %v", s, gained)
		}
	}
}

func TestFOGivesAllToTheLargestWeight(t *testing.T) {
	list := servers(3, 9, 1, 9)
	for _, c := range []struct {
		list []sched.Server
		want uint16
	}{
		{list, 1}, {without(list, 1), 3}, {without(list, 1, 3), 0}, {only(list, 2), 2}, {shared(list, 1, 1), 1},
	} {
		got := count(sequence(table(t, sched.FO, c.list, 0)))
		if len(got) != 1 || got[c.want] == 0 {
			t.Errorf("flows go to %v, want slot %d alone", got, c.want)
		}
	}
}

package sched_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"turnout/sched"
)

func TestSharesFollowWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	random := func(n int, largest uint32) []sched.Server {
		list := equal(n)
		for i := range list {
			list[i].Weight = 1 + rng.Uint32N(largest)
		}
		return list
	}
	for _, c := range []struct {
		name string
		list []sched.Server
		size int
	}{
		{"one", equal(1), 65537},
		{"three", equal(3), 65537},
		{"hundred", equal(100), 65537},
		{"as many as M > 100 N allows", equal(655), 65537},
		{"many, large table", equal(6553), 655373},
		{"weights 1, 2, 3", servers(1, 2, 3), 65537},
		{"weights 100 to 103", servers(100, 101, 102, 103), 65537},
		{"weights 1 and 10000", servers(1, 10000), 1000003},
		{"random weights to 10", random(100, 10), 65537},
		{"random weights to 65535", random(100, 65535), 655373},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkShares(t, c.list, count(owners(table(t, sched.Maglev, c.list, c.size))), c.size)
		})
	}
}

// checkShares wants every server within 1 % of its share, or within two positions where that is finer than
// 1 %: one for rounding, one for the last round, which ends in the middle.
func checkShares(t *testing.T, list []sched.Server, got map[uint16]int, positions int) {
	t.Helper()
	sum := 0.0
	for _, s := range list {
		sum += float64(s.Weight)
	}
	for _, s := range list {
		want := float64(positions) * float64(s.Weight) / sum
		if off := math.Abs(float64(got[s.Slot]) - want); off > max(want/100, 2) {
			t.Errorf("server %s of weight %d has %d positions, want %.1f", s.ID, s.Weight, got[s.Slot], want)
		}
	}
}

func TestEqualSharesDifferByOne(t *testing.T) {
	for _, n := range []int{1, 2, 7, 100, 1000} {
		shares := count(owners(table(t, sched.Maglev, equal(n), 65537)))
		for slot := range n {
			if got := shares[uint16(slot)]; got != 65537/n && got != 65537/n+1 {
				t.Errorf("of %d servers, slot %d has %d positions", n, slot, got)
			}
		}
	}
}

func TestOrderOfServersIsOfNoMatter(t *testing.T) {
	list := without(servers(3, 1, 4, 1, 5, 9, 2, 6, 5, 3), 2, 7)
	for _, s := range []*sched.Scheduler{sched.Maglev, sched.RR, sched.WRR} {
		want := table(t, s, list, 65537)
		for range 5 {
			shuffled := slices.Clone(list)
			rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if !sched.SameTable(table(t, s, shuffled, 65537), want) {
				t.Errorf("%v: the table depends on the order of the servers", s)
			}
		}
	}
}

// TestInnocentFlowsMoved removes servers from the configuration. A position is innocent if its server stays; the
// figure is the share of the innocent positions that change their server all the same, averaged over removals.
func TestInnocentFlowsMoved(t *testing.T) {
	for _, c := range []struct {
		size, n, removed, trials int
		percent                  float64 // measured for the paper's algorithm with another hash
	}{
		{65537, 10, 1, 60, 0.23},
		{65537, 100, 1, 40, 0.59},
		{65537, 100, 10, 20, 1.16},
		{65537, 1000, 1, 40, 0.57},
		{65537, 1000, 10, 10, 2.3},
		{65537, 1000, 50, 10, 3.4},
		{65537, 1000, 100, 10, 3.9},
		{655373, 100, 1, 10, 0.14},
		{655373, 1000, 1, 10, 0.33},
		{655373, 1000, 10, 3, 0.58},
		{655373, 1000, 100, 3, 1.17},
	} {
		t.Run(fmt.Sprintf("M=%d/N=%d/rm%d", c.size, c.n, c.removed), func(t *testing.T) {
			t.Parallel()
			got := innocentsMoved(t, c.size, c.n, c.removed, c.trials)
			t.Logf("%.3f %% of the innocent flows move; the figure is %.2f %%", got, c.percent)
			if math.Abs(got/c.percent-1) > 0.20 {
				t.Errorf("%.3f %% of the innocent flows move, want %.2f %% within 20 %%", got, c.percent)
			}
		})
	}
}

func innocentsMoved(t *testing.T, size, n, removed, trials int) float64 {
	rng := rand.New(rand.NewPCG(uint64(n), uint64(removed)))
	innocent, moved := 0, 0
	var list []sched.Server
	var before []uint16
	for trial := range trials {
		if trial%10 == 0 {
			list = network(n, trial)
			before = owners(table(t, sched.Maglev, list, size))
		}
		gone := make([]bool, n)
		for _, slot := range rng.Perm(n)[:removed] {
			gone[slot] = true
		}
		rest := slices.DeleteFunc(slices.Clone(list), func(s sched.Server) bool { return gone[s.Slot] })
		for at, slot := range owners(table(t, sched.Maglev, rest, size)) {
			if gone[before[at]] {
				continue
			}
			innocent++
			if before[at] != slot {
				moved++
			}
		}
	}
	return 100 * float64(moved) / float64(innocent)
}

// network returns n servers of weight 1 in another network than equal's.
func network(n, number int) []sched.Server {
	list := equal(n)
	for i := range list {
		list[i].ID = strings.Replace(list[i].ID, "10.7", fmt.Sprintf("172.%d", 16+number), 1)
	}
	return list
}

func TestQuiescedServerKeepsOthersStill(t *testing.T) {
	list := servers(1, 2, 3, 4, 5)
	before := table(t, sched.Maglev, list, 65537)
	after := owners(table(t, sched.Maglev, without(list, 2), 65537))
	for at, slot := range owners(before) {
		if slot != 2 && after[at] != slot || slot == 2 && after[at] == 2 {
			t.Fatalf("position %d went from slot %d to %d", at, slot, after[at])
		}
	}
}

func TestFlapMovesOnlyItsOwnFlows(t *testing.T) {
	list := equal(100)
	p := plan(t, sched.Maglev, list, 65537)
	base := p.Table(list, 0)
	down := owners(p.Table(without(list, 17), 0))
	for at, slot := range owners(base) {
		if slot != 17 && down[at] != slot || down[at] == 17 {
			t.Fatalf("position %d went from slot %d to %d", at, slot, down[at])
		}
	}
	if up := p.Table(list, 0); !sched.SameMemory(base, up) {
		t.Error("with all servers usable again, the table is not the base table")
	}
}

func TestFailureAfterFailureMovesOnlyItsOwnFlows(t *testing.T) {
	list := equal(40)
	p := plan(t, sched.Maglev, list, 65537)
	before := owners(p.Table(list, 0))
	for failing := range uint16(20) {
		list = without(list, failing)
		after := owners(p.Table(list, 0))
		for at, slot := range before {
			if slot != failing && after[at] != slot {
				t.Fatalf("when slot %d failed, position %d went from slot %d to %d", failing, at, slot, after[at])
			}
		}
		before = after
	}
}

// TestDeadShareSpreadsInProportion takes a walk for a draw by positions owned: five standard deviations of the
// binomial distribution are allowed.
func TestDeadShareSpreadsInProportion(t *testing.T) {
	weights := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 1, 40}
	for _, dead := range [][]uint16{{9}, {0}, {12}, {1, 3, 5, 7, 9, 12}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12}} {
		list := servers(weights...)
		p := plan(t, sched.Maglev, list, 65537)
		base, after := count(owners(p.Table(list, 0))), count(owners(p.Table(without(list, dead...), 0)))
		lost := 0
		for _, slot := range dead {
			lost += base[slot]
		}
		for slot, positions := range base {
			if slices.Contains(dead, slot) {
				continue
			}
			share := float64(positions) / float64(65537-lost)
			want, deviation := float64(lost)*share, math.Sqrt(float64(lost)*share*(1-share))
			if got := float64(after[slot] - positions); math.Abs(got-want) > 5*deviation {
				t.Errorf("with %v dead, slot %d gets %.0f of their %d positions, want %.0f", dead, slot, got, lost, want)
			}
		}
	}
}

func TestFewUsableServersShareEvenly(t *testing.T) {
	list := only(equal(1000), 5, 500, 990)
	shares := count(owners(table(t, sched.Maglev, list, 65537)))
	for _, slot := range []uint16{5, 500, 990} {
		if got := shares[slot]; math.Abs(float64(got)-65537/3) > 65537/3/20 {
			t.Errorf("slot %d has %d of 65537 positions, want a third within 5 %%", slot, got)
		}
	}
	if len(shares) != 3 {
		t.Errorf("%d slots have positions, want 3", len(shares))
	}
}

func TestUsableServerWithoutBasePositionsStillTakesAll(t *testing.T) {
	list := servers(1000000, 1)
	p := plan(t, sched.Maglev, list, 251)
	if n := count(owners(p.Table(list, 0)))[1]; n != 0 {
		t.Fatalf("the light server owns %d positions; the test wants weights at which it owns none", n)
	}
	if n := count(owners(p.Table(without(list, 0), 0)))[1]; n != 251 {
		t.Errorf("the light server, alone, has %d of 251 positions", n)
	}
}

func TestSingleServerHasWholeTable(t *testing.T) {
	shares := count(owners(table(t, sched.Maglev, servers(7), 251)))
	if shares[0] != 251 {
		t.Errorf("shares are %v", shares)
	}
}

func TestValidTableSize(t *testing.T) {
	const outOfRange = " is out of range: use a prime from 251 to 16777213, such as 65537"
	const notPrime = " is not a prime: use one such as 65537 or 655373"
	for size, want := range map[int]string{
		251: "", 65537: "", 655373: "", 16777213: "", 4093: "",
		-7: outOfRange, 0: outOfRange, 241: outOfRange, 16777259: outOfRange,
		253: notPrime, 65536: notPrime, 65539 * 3: notPrime, 4093 * 4093: notPrime,
	} {
		got := ""
		if err := sched.ValidTableSize(size); err != nil {
			got = err.Error()
		}
		if want != "" {
			want = fmt.Sprint("table size ", size, want)
		}
		if got != want {
			t.Errorf("ValidTableSize(%d) = %q, want %q", size, got, want)
		}
	}
}

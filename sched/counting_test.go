package sched_test

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"turnout/sched"
)

// The slow twins pick one flow at a time as IPVS does: by going through the servers in their order, with fractions
// compared by multiplying crosswise. Servers are those that can take flows; -1 is none of them.

// slowPicks lets choose pick so many flows, each of which the picked server then has.
func slowPicks(list []sched.Server, picks int, choose func(list []sched.Server) int) []uint16 {
	slots := make([]uint16, picks)
	for i := range slots {
		slots[i] = sched.None
		if at := choose(list); at >= 0 {
			slots[i] = list[at].Slot
			list[at].Active++
		}
	}
	return slots
}

// lessPer reports whether a per weight is less than b per weight.
func lessPer(a, weightA, b, weightB uint64) bool {
	left := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(weightB))
	right := new(big.Int).Mul(new(big.Int).SetUint64(b), new(big.Int).SetUint64(weightA))
	return left.Cmp(right) < 0
}

func slowOverhead(s sched.Server) uint64 { return uint64(s.Active)*256 + uint64(s.Inactive) }

// slowWeight is the weight as far as it is ramped up.
func slowWeight(s sched.Server) uint64 { return uint64(s.Weight) * uint64(s.Share) }

func slowLC(list []sched.Server) int {
	least := 0
	for i, s := range list {
		if lessPer(slowOverhead(s), uint64(s.Share), slowOverhead(list[least]), uint64(list[least].Share)) {
			least = i
		}
	}
	return least
}

func slowWLC(list []sched.Server) int {
	least := 0
	for i, s := range list {
		if lessPer(slowOverhead(s), slowWeight(s), slowOverhead(list[least]), slowWeight(list[least])) {
			least = i
		}
	}
	return least
}

func slowSED(list []sched.Server) int {
	least := 0
	for i, s := range list {
		if lessPer(uint64(s.Active)+1, slowWeight(s), uint64(list[least].Active)+1, slowWeight(list[least])) {
			least = i
		}
	}
	return least
}

func slowNQ(list []sched.Server) int {
	for i, s := range list {
		if s.Active == 0 {
			return i
		}
	}
	return slowSED(list)
}

func slowOVF(list []sched.Server) int {
	highest := -1
	for i, s := range list {
		if uint64(s.Active) > slowWeight(s)/sched.FullShare {
			continue
		}
		if highest < 0 || s.Weight > list[highest].Weight {
			highest = i
		}
	}
	return highest
}

// slowTWOS draws from the same numbers.
func slowTWOS(list []sched.Server) func(list []sched.Server) int {
	seed, sum := uint64(0), uint64(0)
	for _, s := range list {
		seed = slowMix(seed ^ uint64(s.Active)<<32 ^ uint64(s.Inactive))
		sum += slowWeight(s)
	}
	random := rand.New(rand.NewPCG(seed, uint64(len(list))))
	draw := func(list []sched.Server) int {
		left := random.Uint64N(sum)
		for i, s := range list {
			if left < slowWeight(s) {
				return i
			}
			left -= slowWeight(s)
		}
		return -1
	}
	return func(list []sched.Server) int {
		first, second := draw(list), draw(list)
		if lessPer(slowOverhead(list[second]), slowWeight(list[second]), slowOverhead(list[first]), slowWeight(list[first])) {
			return second
		}
		return first
	}
}

// drawBusy draws servers that have flows, some of which are ramping up.
func drawBusy(t *rapid.T, flows uint32) []sched.Server {
	list := drawServers(t, 12, rapid.SampledFrom([]uint32{1, 10, 65535}).Draw(t, "largest"))
	for i := range list {
		list[i].Active = rapid.Uint32Range(0, flows).Draw(t, "active")
		list[i].Inactive = rapid.Uint32Range(0, flows).Draw(t, "inactive")
		if rapid.Bool().Draw(t, "ramps") {
			list[i].Share = rapid.Uint32Range(0, sched.FullShare).Draw(t, "share")
		}
	}
	return list
}

// ableOf returns the servers that can take flows, by ID.
func ableOf(list []sched.Server) []sched.Server {
	return slices.DeleteFunc(sortedByID(list), func(s sched.Server) bool { return !s.Usable || s.Share == 0 })
}

func TestCountingSchedulersAreTheirTwins(t *testing.T) {
	for s, choose := range map[*sched.Scheduler]func(list []sched.Server) int{
		sched.LC: slowLC, sched.WLC: slowWLC, sched.SED: slowSED, sched.NQ: slowNQ, sched.OVF: slowOVF, sched.TWOS: nil,
	} {
		t.Run(s.String(), rapid.MakeCheck(func(t *rapid.T) {
			list := drawBusy(t, rapid.SampledFrom([]uint32{0, 3, 50, 1 << 31}).Draw(t, "flows"))
			able, choose := ableOf(list), choose
			if s == sched.TWOS && len(able) > 0 {
				choose = slowTWOS(able)
			}
			picks := 0
			if len(able) > 0 {
				picks = 100
			}
			p := plan(t, s, list, 0)
			got, want := sequence(p.Table(list, 100)), slowPicks(able, picks, choose)
			if !slices.Equal(got, want) {
				t.Fatalf("the picks are\n%v, the slow twin's are\n%v", got, want)
			}
		}))
	}
}

func TestForesightIsBounded(t *testing.T) {
	for _, c := range []struct{ n, flows, want int }{
		{3, 0, 64}, {3, 64, 64}, {3, 1000, 1000}, {3, 1 << 20, 1 << 14}, {1000, 0, 2000}, {20000, 100, 40000},
	} {
		list := equal(c.n)
		if got := plan(t, sched.LC, list, 0).Table(list, c.flows).Turns(); got != c.want {
			t.Errorf("%d servers and %d flows: %d picks are foreseen, want %d", c.n, c.flows, got, c.want)
		}
	}
}

// TestCountingTablesAreSmall, as they are made again all the time.
func TestCountingTablesAreSmall(t *testing.T) {
	list := servers(65521, 65519, 65497, 65479)
	list[3].Share = 1
	for _, s := range counting {
		if n := table(t, s, list, 0).Len(); n > 1<<14 {
			t.Errorf("%v: a table has %d positions", s, n)
		}
	}
}

// busy returns usable servers of these weights with these active flows.
func busy(weights, active []uint32) []sched.Server {
	list := servers(weights...)
	for i := range list {
		list[i].Active = active[i]
	}
	return list
}

func TestCountingSchedulersByExample(t *testing.T) {
	for _, c := range []struct {
		scheduler       *sched.Scheduler
		weights, active []uint32
		want            string
	}{
		{sched.LC, []uint32{1, 9, 1}, []uint32{2, 2, 0}, "CCABCABC"},
		{sched.WLC, []uint32{1, 2, 1}, []uint32{2, 2, 3}, "BBABBABC"},
		{sched.WLC, []uint32{1, 100}, []uint32{0, 0}, "ABBBBBBB"},                   // idle servers are even, whatever their weights
		{sched.WLC, []uint32{65023, 65024}, []uint32{1 << 31, 1 << 31}, "BBBBBBBB"}, // products beyond 64 bits
		{sched.SED, []uint32{1, 3}, []uint32{0, 0}, "BBABBBAB"},
		{sched.NQ, []uint32{1, 3}, []uint32{0, 0}, "ABBBBBAB"},
		{sched.NQ, []uint32{9, 1, 1}, []uint32{1, 0, 0}, "BCAAAAAA"},
		{sched.OVF, []uint32{2, 3, 1}, []uint32{0, 1, 0}, "BBBAAACC"},
		{sched.OVF, []uint32{2, 3, 1}, []uint32{3, 3, 2}, "B-------"}, // as in IPVS, none when all are over
		{sched.OVF, []uint32{2, 3, 1}, []uint32{3, 4, 2}, "--------"},
	} {
		list := busy(c.weights, c.active)
		got := ""
		for _, slot := range sequence(plan(t, c.scheduler, list, 0).Table(list, 0))[:8] {
			if slot == sched.None {
				got += "-"
			} else {
				got += string(rune('A' + slot))
			}
		}
		if got != c.want {
			t.Errorf("%v of weights %v with %v flows picks %s, want %s", c.scheduler, c.weights, c.active, got, c.want)
		}
	}
}

func TestTWOSEvensOut(t *testing.T) {
	list := busy([]uint32{1, 1, 1, 1}, []uint32{500, 0, 0, 0})
	picked := count(sequence(plan(t, sched.TWOS, list, 0).Table(list, 900)))
	if picked[0] > 90 { // drawn twice for a 16th of all, 56
		t.Errorf("the server that has more flows than all others got %d of 900", picked[0])
	}
	for slot := uint16(1); slot < 4; slot++ {
		if n := picked[slot]; n < 250 || n > 310 {
			t.Errorf("slot %d got %d of 900 flows", slot, n)
		}
	}
}

func TestFlowsThatAreNotRememberedIgnoreCounts(t *testing.T) {
	for _, s := range counting {
		idle, loaded := servers(4, 3, 2), busy([]uint32{4, 3, 2}, []uint32{900, 0, 7})
		p := plan(t, s, idle, 0)
		before, after := p.Table(idle, 0), p.Table(loaded, 0)
		for at := range before.Len() {
			hash := hashAt(at, before.Len())
			if a, b := before.PickByHash(hash), after.PickByHash(hash); a != b || a > 2 {
				t.Errorf("%v: a flow moves from slot %d to %d as the counts change", s, a, b)
			}
		}
	}
}

// TestLcoresShareThePlace has lcores pick at once: together they make the foreseen picks, each of them once.
func TestLcoresShareThePlace(t *testing.T) {
	const lcores, each = 4, 1000
	list := busy([]uint32{1, 2, 3}, []uint32{100, 0, 50})
	p := plan(t, sched.WLC, list, 0)
	want, picked := count(sequence(p.Table(list, lcores*each))), p.Table(list, lcores*each)
	var slots [lcores][]uint16
	var done sync.WaitGroup
	for lcore := range lcores {
		done.Go(func() {
			cursor := uint32(lcore)
			for range each {
				slots[lcore] = append(slots[lcore], picked.Pick(0, &cursor))
			}
		})
	}
	done.Wait()
	got := count(slices.Concat(slots[:]...))
	for slot, n := range want {
		if got[slot] != n {
			t.Errorf("slot %d got %d flows, %d were foreseen", slot, got[slot], n)
		}
	}
}

package sched_test

import (
	"math"
	"math/big"
	"os"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"turnout/sched"
)

// TestIndexIsHighWordOfProduct compares with the definition in integers without bounds.
func TestIndexIsHighWordOfProduct(t *testing.T) {
	maglev := table(t, sched.Maglev, equal(3), 65537)
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.Uint64().Draw(t, "hash")
		product := new(big.Int).Mul(new(big.Int).SetUint64(hash), big.NewInt(65537))
		want := int(product.Rsh(product, 64).Int64())
		if got := maglev.Index(hash); got != want {
			t.Fatalf("hash %d has position %d, want %d", hash, got, want)
		}
	})
}

func TestPickReadsThePositionOfTheHash(t *testing.T) {
	maglev := table(t, sched.Maglev, equal(3), 251)
	slots := owners(maglev)
	for _, hash := range []uint64{0, 1, 1 << 40, 1 << 63, math.MaxUint64} {
		if got, want := maglev.Pick(hash, nil), slots[maglev.Index(hash)]; got != want {
			t.Errorf("hash %d gets slot %d, its position belongs to %d", hash, got, want)
		}
	}
	if maglev.Index(0) != 0 || maglev.Index(math.MaxUint64) != 250 {
		t.Error("the first and the last hash are not at the ends of the table")
	}
}

func TestPickByHashReadsAnyTable(t *testing.T) {
	list := servers(4, 3, 2)
	wrr, maglev := table(t, sched.WRR, list, 0), table(t, sched.Maglev, list, 251)
	for at, want := range sequence(wrr) {
		if got := wrr.PickByHash(hashAt(at, wrr.Len())); got != want {
			t.Errorf("wrr: the hash of position %d gets slot %d, want %d", at, got, want)
		}
	}
	for at, want := range owners(maglev) {
		if got := maglev.PickByHash(hashAt(at, 251)); got != want {
			t.Fatalf("maglev: the hash of position %d gets slot %d, want %d", at, got, want)
		}
	}
	if got := new(sched.Table).PickByHash(1 << 63); got != sched.None {
		t.Errorf("the zero table gives slot %d", got)
	}
}

func TestBySequence(t *testing.T) {
	for s, want := range map[*sched.Scheduler]bool{sched.Maglev: false, sched.SH: false, sched.RR: true, sched.FO: true, sched.WLC: true} {
		if got := table(t, s, equal(2), 0).BySequence(); got != want {
			t.Errorf("%v: BySequence is %v, want %v", s, got, want)
		}
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	for _, s := range []*sched.Scheduler{sched.Maglev, sched.RR, sched.WRR, sched.WLC} {
		picked, hash, cursor := table(t, s, servers(1, 2, 3), 251), uint64(1), uint32(0)
		sum := 0
		allocs := testing.AllocsPerRun(1000, func() {
			hash *= 0x9e3779b97f4a7c15
			sum += int(picked.Pick(hash, &cursor))
		})
		if allocs != 0 || sum == 0 {
			t.Errorf("%v: Pick allocates %v times", s, allocs)
		}
	}
}

// TestInlining keeps small look-ups free of calls: a call costs about as much. Pick is called once for a flow, for which
// the flow table costs a hundred times that.
func TestInlining(t *testing.T) {
	command, err := exec.LookPath("go")
	if err != nil {
		missing(t, "no go command in PATH")
	}
	out, err := exec.Command(command, "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, function := range []string{"(*Table).PickByHash", "(*Table).Index"} {
		if !strings.Contains(string(out), "can inline "+function+"\n") {
			t.Errorf("%s is not inlined any more: make it cheaper, see go build -gcflags=-m=2", function)
		}
	}
}

// missing skips a test for want of something; in CI nothing may be wanting.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

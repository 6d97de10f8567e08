package flowtable_test

import (
	"slices"
	"strings"
	"testing"

	. "turnout/flowtable"
)

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		entries int
		want    string
	}{
		{0, "flow table of 0 entries: must have at least 1 (each takes 64 bytes)"},
		{-5, "flow table of -5 entries: must have at least 1 (each takes 64 bytes)"},
		{1<<30 + 1, "flow table of 1073741825 entries: would take 64.0 GiB; at most 1073741824 (64.0 GiB)"},
		{1 << 40, "flow table of 1099511627776 entries: would take 65536.0 GiB; at most 1073741824 (64.0 GiB)"},
	} {
		if table, err := New(c.entries, [2]uint64{}); err == nil || err.Error() != c.want {
			t.Errorf("New(%d) = %v, %v; want error %q", c.entries, table, err, c.want)
		}
	}
}

func TestMemoryBeyondTheMachine(t *testing.T) {
	err := MapMemory(2 * AvailableMemory())
	if err == nil || !strings.Contains(err.Error(), "of memory is available") {
		t.Errorf("error %v", err)
	}
}

func TestBackingIsNamed(t *testing.T) {
	table := newTable(t, 1_000_000)
	if !slices.Contains([]string{"hugetlb", "thp", "pages"}, table.Backing()) {
		t.Errorf("backing %q", table.Backing())
	}
	t.Logf("64 MB table: %s", table.Backing())
}

func TestCloseTwice(t *testing.T) {
	table, err := New(1, [2]uint64{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}
}

package cpulist_test

import (
	"slices"
	"testing"

	"turnout/mgmt/cpulist"
)

func TestLists(t *testing.T) {
	for text, want := range map[string][]int{
		"":          nil,
		"0":         {0},
		"0-2,4,6-7": {0, 1, 2, 4, 6, 7},
	} {
		got, err := cpulist.Parse(text + "\n")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
		if again := cpulist.Format(got); again != text {
			t.Errorf("%q is written as %q", text, again)
		}
	}
	for _, text := range []string{"x", "1-", "-1", "1;2"} {
		if cpus, err := cpulist.Parse(text); err == nil {
			t.Errorf("%q is read as %v", text, cpus)
		}
	}
}

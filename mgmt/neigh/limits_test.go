package neigh_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"turnout/mgmt/neigh"
)

func TestMend(t *testing.T) {
	const key = " net.ipv4.neigh.default.gc_thresh"
	usual := [3]int{128, 512, 1024}
	for _, tt := range []struct {
		limits  [3]int
		targets int
		want    string
	}{
		{usual, 0, ""},
		{usual, 128, ""},
		{usual, 129, key + "1=129"},
		{usual, 256, key + "1=256"},
		{usual, 257, key + "1=257" + key + "2=514" + key + "3=1028"},
		{[3]int{10_000, 20_000, 39_999}, 10_000, key + "3=40000"},
		{[3]int{10_000, 20_000, 40_000}, 10_000, ""},
		{[3]int{}, 10_000, ""}, // they do not show in this network namespace
	} {
		if got := neigh.Mend(tt.limits, tt.targets); got != tt.want {
			t.Errorf("%v for %d: %q, want %q", tt.limits, tt.targets, got, tt.want)
		}
	}
}

// What is too small is said once per number of real servers, and again when they are more than ever.
func TestLimitsAreChecked(t *testing.T) {
	dir := t.TempDir()
	defer neigh.SetLimits(dir + "/gc_thresh%d")()
	for name, text := range map[string]string{"gc_thresh1": "2\n", "gc_thresh2": "8\n"} { // no gc_thresh3
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	core, logs := observer.New(zap.WarnLevel)
	n := neigh.NewNeighbours(neigh.NeighboursConfig{Log: zap.New(core)})
	addrs := []netip.Addr{rip1, rip2, dead, dip.Addr(), netip.MustParseAddr("192.168.57.124")}
	for _, count := range []int{2, 3, 3, 0, 2, 3, 5} {
		n.SetTargets(addrs[:count])
	}
	var got []string
	for _, e := range logs.All() {
		got = append(got, fmt.Sprint(e.ContextMap()["real_servers"], " ", e.ContextMap()["mend"]))
	}
	want := []string{
		"3 sysctl -w net.ipv4.neigh.default.gc_thresh1=3",
		"5 sysctl -w net.ipv4.neigh.default.gc_thresh1=5 net.ipv4.neigh.default.gc_thresh2=10",
	}
	if !slices.Equal(got, want) {
		t.Errorf("warned %q, want %q", got, want)
	}
}

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// memory is what turnout uses, in bytes.
type memory struct {
	heap float64 // in use by Go
	rss  float64 // of the whole process: DPDK's memory and the tables included
}

func (d *director) memory() (m memory) {
	d.t.Helper()
	metrics, err := d.ask(http.MethodGet, "/metrics", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	return memory{
		heap: numberAfter(d.t, metrics, `(?m)^go_memstats_heap_inuse_bytes `),
		rss:  1024 * numberAfter(d.t, status, `(?m)^VmRSS:\s*`),
	}
}

func numberAfter(t *testing.T, text []byte, expression string) float64 {
	t.Helper()
	match := regexp.MustCompile(expression + `([0-9.e+]+)`).FindSubmatch(text)
	if match == nil {
		t.Fatalf("there is no %s", expression)
	}
	n, err := strconv.ParseFloat(string(match[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// How much more may be used at the end than after the warm-up, in bytes: what comes and goes between two garbage
// collections. A table that leaks at every reload makes more of it.
const (
	heapGrowth = 3 << 20
	rssGrowth  = 6 << 20
)

// wantFlat wants no growth in samples taken one after the other. After a fifth of them all is warm.
func wantFlat(t *testing.T, samples []memory) {
	t.Helper()
	warm := samples[len(samples)/5:]
	quarter := len(warm) / 4
	first, last := medianMemory(warm[:quarter]), medianMemory(warm[len(warm)-quarter:])
	t.Logf("once warm: %v; at the end: %v", first, last)
	if last.heap > first.heap+heapGrowth || last.rss > first.rss+rssGrowth {
		t.Errorf("memory grew from %v to %v", first, last)
	}
}

func (m memory) String() string {
	return fmt.Sprintf("heap %.1f MiB, RSS %.1f MiB", m.heap/(1<<20), m.rss/(1<<20))
}

func medianMemory(samples []memory) memory {
	middle := func(of func(memory) float64) float64 {
		var values []float64
		for _, m := range samples {
			values = append(values, of(m))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return memory{
		heap: middle(func(m memory) float64 { return m.heap }),
		rss:  middle(func(m memory) float64 { return m.rss }),
	}
}

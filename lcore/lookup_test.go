package lcore_test

import (
	"testing"

	"pgregory.net/rapid"

	"turnout/lcore"
)

// TestLookupIsAMap holds a lookup against a map, with keys that like to collide among them.
func TestLookupIsAMap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		key := rapid.OneOf(
			rapid.Uint64Range(1, 64),
			rapid.Map(rapid.Uint64Range(1, 64), func(k uint64) uint64 { return k << 32 }),
			rapid.Uint64Range(1, 1<<64-1),
		)
		twin := rapid.MapOf(key, rapid.Uint32()).Draw(r, "content")
		l := lcore.NewLookup(len(twin))
		for k, v := range twin {
			l.Put(k, v+1)
			l.Put(k, v) // the last one counts
		}
		for k, v := range twin {
			if got, ok := l.Find(k); !ok || got != v {
				r.Fatalf("find %#x: got %d, %v; want %d", k, got, ok, v)
			}
		}
		other := key.Draw(r, "other")
		want, known := twin[other]
		if got, ok := l.Find(other); ok != known || got != want {
			r.Fatalf("find %#x: got %d, %v; want %d, %v", other, got, ok, want, known)
		}
		if l.Cells() < 2*len(twin) {
			r.Fatalf("%d keys in %d cells: more than half full", len(twin), l.Cells())
		}
	})
}

func TestZeroLookupIsEmpty(t *testing.T) {
	var l lcore.Lookup
	if v, ok := l.Find(1); ok {
		t.Errorf("find 1: got %d, want nothing", v)
	}
}

package lcore_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"turnout/flowtable"
	"turnout/lcore"
)

// TestClockIsExact compares the clock with a division, over 30 days: at most one tick late, and so only at a tick's edge.
func TestClockIsExact(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		hz := rapid.Uint64Range(10_000_000, 6_000_000_000).Draw(r, "hz")
		tsc := rapid.Uint64Range(0, hz*86400*30).Draw(r, "tsc")
		ticks := new(big.Int).SetUint64(tsc)
		ticks.Mul(ticks, big.NewInt(flowtable.TicksPerSecond))
		rest := new(big.Int)
		ticks.DivMod(ticks, new(big.Int).SetUint64(hz), rest)
		got, want := lcore.NewClock(flowtable.TicksPerSecond, hz).Read(tsc), ticks.Uint64()
		early := rest.Cmp(big.NewInt(flowtable.TicksPerSecond)) < 0 // within a cycle of the edge
		if got != want && !(early && got == want-1) {
			r.Fatalf("%d cycles at %d Hz: tick %d, want %d", tsc, hz, got, want)
		}
	})
}

// TestClockNeverGoesBack looks at neighbouring cycles.
func TestClockNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		hz := rapid.Uint64Range(10_000_000, 6_000_000_000).Draw(r, "hz")
		tsc, step := rapid.Uint64Range(0, 1<<62).Draw(r, "tsc"), rapid.Uint64Range(0, hz).Draw(r, "step")
		c := lcore.NewClock(flowtable.TicksPerSecond, hz)
		if passed := c.Read(tsc+step) - c.Read(tsc); passed > flowtable.TicksPerSecond {
			r.Fatalf("%d cycles later at %d Hz: %d ticks, at most %d", step, hz, passed, flowtable.TicksPerSecond)
		}
	})
}

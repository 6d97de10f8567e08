package lcore_test

import (
	"math"
	"testing"

	"turnout/flowtable"
	"turnout/lcore"
)

// taken takes all that a kind may have.
func taken(l *lcore.Limits, k lcore.PuntKind) (n uint32) {
	for l.Take(k) {
		n++
	}
	return n
}

// TestLimitsGiveTheirRate drains every kind at each tick of ten seconds, across the clock's wrap.
func TestLimitsGiveTheirRate(t *testing.T) {
	for k := range lcore.PuntKinds {
		var l lcore.Limits
		now := uint32(math.MaxUint32 - 50)
		l.Refill(now)
		if burst := taken(&l, k); burst != lcore.PuntsPerSecond(k)/4 {
			t.Errorf("%s: %d at once, want a quarter of a second's worth, %d", k, burst, lcore.PuntsPerSecond(k)/4)
		}
		total := uint32(0)
		for range 10 * flowtable.TicksPerSecond {
			now++
			l.Refill(now)
			l.Refill(now) // twice in a tick gives nothing more
			total += taken(&l, k)
		}
		if total != 10*lcore.PuntsPerSecond(k) {
			t.Errorf("%s: %d in ten seconds, want %d", k, total, 10*lcore.PuntsPerSecond(k))
		}
	}
}

// TestLimitsDoNotPileUp lets much time pass.
func TestLimitsDoNotPileUp(t *testing.T) {
	var l lcore.Limits
	l.Refill(1)
	l.Refill(1 << 31)
	for k := range lcore.PuntKinds {
		if got, want := taken(&l, k), lcore.PuntsPerSecond(k)/4; got != want {
			t.Errorf("%s: %d after a long silence, want %d", k, got, want)
		}
	}
}

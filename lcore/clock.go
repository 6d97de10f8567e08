package lcore

import (
	"math/bits"

	"turnout/flowtable"
)

// clock turns the TSC into ticks of the flow table's clock with one multiplication.
type clock struct {
	factor uint64 // 2^64 * ticks per cycle
}

// newClock is for a TSC of hz cycles a second.
func newClock(hz uint64) clock {
	factor, _ := bits.Div64(flowtable.TicksPerSecond, 0, hz)
	return clock{factor}
}

// tick is the number of whole ticks in tsc cycles, modulo 2^32 (8 years).
func (c clock) tick(tsc uint64) uint32 {
	ticks, _ := bits.Mul64(tsc, c.factor)
	return uint32(ticks)
}

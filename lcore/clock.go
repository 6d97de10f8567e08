package lcore

import "math/bits"

// clock turns the TSC into a count of some unit of time with one multiplication.
type clock struct {
	factor uint64 // 2^64 * units per cycle
}

// newClock counts so many units a second, of a TSC of hz cycles a second, which must be more.
func newClock(units, hz uint64) clock {
	factor, _ := bits.Div64(units, 0, hz)
	return clock{factor}
}

// read is the number of whole units in tsc cycles.
func (c clock) read(tsc uint64) uint64 {
	units, _ := bits.Mul64(tsc, c.factor)
	return units
}

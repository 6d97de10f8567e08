package main

import (
	"sync/atomic"
	"unsafe"

	"turnout/lcore"
)

// swapper is a loop over the same queue that swaps the MACs of every frame, as testpmd's macswap does: what is above
// testpmd is the price of the fused call and of Go's loop.
type swapper struct {
	queue lcore.Queue
	burst *lcore.Burst
	stop  atomic.Bool
}

// Run polls until Stop.
func (s *swapper) Run() {
	b := s.burst
	for !s.stop.Load() {
		s.queue.Turn(b)
		b.ForwardedBytes = 0
		for i := range int(b.Count) {
			swap(b.Frames[i&(lcore.BurstSize-1)])
			b.Verdicts[i&(lcore.BurstSize-1)] = lcore.Forward
			b.ForwardedBytes += uint64(b.Lengths[i&(lcore.BurstSize-1)])
		}
		b.Forwarded = b.Count
	}
	b.Last = 1
	s.queue.Turn(b)
}

// Stop makes Run return.
func (s *swapper) Stop() { s.stop.Store(true) }

// swap exchanges the first two runs of six bytes of a frame.
func swap(frame unsafe.Pointer) {
	macs := (*[2][6]byte)(frame)
	macs[0], macs[1] = macs[1], macs[0]
}

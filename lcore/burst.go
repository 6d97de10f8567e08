package lcore

import "unsafe"

// BurstSize is the most frames that are received at once.
const BurstSize = 64

// Burst passes between a worker and its queue. It lies off the Go heap in the layout of struct turnout_burst in
// port/turn.h, because the fused call of a DPDK port works on it.
type Burst struct {
	Count          uint32 // frames received; set by Turn
	Awake          uint32 // not 0: Turn must not sleep; set by the worker
	Last           uint32 // not 0: Turn must not receive any more; set by the worker
	Forwarded      uint32 // how many verdicts are Forward; set by the worker
	ForwardedBytes uint64 // of those frames; set by the worker
	Entered        uint64 // TSC when Turn was called; set by Turn
	TSC            uint64 // TSC when Turn had received; set by Turn

	Frames   [BurstSize]unsafe.Pointer // first byte of each frame; set by Turn
	Lengths  [BurstSize]uint32         // bytes that may be looked at; set by Turn
	Verdicts [BurstSize]Verdict        // set by the worker, carried out by the next Turn

	Port PortCounters // set by Turn

	mbufs [BurstSize]unsafe.Pointer // the queue's own
}

// NewBurst makes a Burst off the Go heap.
func NewBurst() (*Burst, error) {
	mem, err := mapMemory(int(unsafe.Sizeof(Burst{})))
	return (*Burst)(mem), err
}

// Free gives the memory of a Burst back.
func (b *Burst) Free() error {
	return unmapMemory(unsafe.Pointer(b), int(unsafe.Sizeof(*b)))
}

// BurstLayout lists the size of a Burst and the offsets of its fields in the order of their declaration, to be compared
// with C's at start-up.
func BurstLayout() []uintptr {
	var b Burst
	return []uintptr{
		unsafe.Sizeof(b), unsafe.Offsetof(b.Count), unsafe.Offsetof(b.Awake), unsafe.Offsetof(b.Last), unsafe.Offsetof(b.Forwarded), unsafe.Offsetof(b.ForwardedBytes), unsafe.Offsetof(b.Entered), unsafe.Offsetof(b.TSC),
		unsafe.Offsetof(b.Frames), unsafe.Offsetof(b.Lengths), unsafe.Offsetof(b.Verdicts),
		unsafe.Offsetof(b.Port), unsafe.Offsetof(b.mbufs),
	}
}

// Queue is one receive queue of a port, with the transmit queue that goes with it. It is called per burst, never per
// packet.
type Queue interface {
	// Turn carries out the verdicts on b's frames, sends what waits in the inject ring, and receives the next frames
	// into b. The frames of the turn before are dead.
	Turn(b *Burst)
}

package port

/*
#cgo pkg-config: libdpdk
#cgo CFLAGS: -O3
#cgo noescape turnout_turn
#cgo nocallback turnout_turn
#include <stdlib.h>
#include "turn.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	"turnout/lcore"
)

// Queue is one receive queue of a port and the transmit queue beside it. It is a lcore.Queue.
type Queue struct {
	c *C.struct_turnout_queue
}

// Turn makes the one cgo call of a worker's turn.
func (q *Queue) Turn(b *lcore.Burst) {
	C.turnout_turn(q.c, (*C.struct_turnout_burst)(unsafe.Pointer(b)))
}

// newQueue describes a queue to C, in C's memory.
func newQueue(p *Port, index int, inject *lcore.Ring) *Queue {
	c := (*C.struct_turnout_queue)(C.calloc(1, C.sizeof_struct_turnout_queue))
	c.port, c.queue = C.uint16_t(p.id), C.uint16_t(index)
	c.hz = C.uint64_t(TSCHz())
	c.pool = unsafe.Pointer(p.pool)
	if p.config.Adaptive {
		c.adaptive = 1
	}
	if p.interrupts {
		c.interrupts = 1
	}
	if inject != nil {
		c.inject = (*C.struct_turnout_ring)(inject.Base())
	}
	return &Queue{c}
}

// free gives C's memory back; Turn must not be called any more.
func (q *Queue) free() { C.free(unsafe.Pointer(q.c)) }

// checkLayout compares the layout of a Burst in Go and in C.
func checkLayout() error {
	var offsets [64]C.size_t
	n := int(C.turnout_burst_layout(&offsets[0]))
	inC := make([]uintptr, n)
	for i := range inC {
		inC[i] = uintptr(offsets[i])
	}
	if inGo := lcore.BurstLayout(); !slices.Equal(inC, inGo) {
		return fmt.Errorf("lcore.Burst is laid out as %d in Go and as %d in C: turn.h and burst.go differ, rebuild from one commit", inGo, inC)
	}
	return nil
}

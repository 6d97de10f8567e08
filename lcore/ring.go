package lcore

import (
	"errors"
	"math/bits"
	"strconv"
	"sync/atomic"
	"unsafe"
)

// Ring carries copies of frames between one producer and one consumer: from an lcore to the management (punt) and
// back (inject). It lies off the Go heap in the layout of struct turnout_ring in port/turn.h, because the fused call
// of a DPDK port takes injected frames from it.
//
// Indexes only grow; a slot is index modulo the number of slots.
type Ring struct {
	head *ringHead
	mask uint32
}

// ringHead is the shared head of a ring; the slots follow it.
type ringHead struct {
	tail  uint32 // next slot to fill; written by the producer
	_     [60]byte
	taken uint32 // next slot to empty; written by the consumer
	_     [60]byte
	slots uint32 // a power of two
	_     [60]byte
}

// RingFrameMax is the longest frame that a ring carries, in bytes.
const RingFrameMax = 2048 - ringSlotHead

const (
	ringSlotSize = 2048
	ringSlotHead = 8
)

// ringSlot holds one frame.
type ringSlot struct {
	length uint16
	kind   uint8
	_      [5]byte
	data   [RingFrameMax]byte
}

var (
	_ [192 - unsafe.Sizeof(ringHead{})]byte          // the layout is shared with C
	_ [unsafe.Sizeof(ringSlot{}) - ringSlotSize]byte // likewise
)

// NewRing makes a ring of slots frames, a power of two.
func NewRing(slots int) (*Ring, error) {
	if bits.OnesCount(uint(slots)) != 1 {
		return nil, errors.New("a ring of " + strconv.Itoa(slots) + " frames: the number must be a power of two")
	}
	mem, err := mapMemory(ringBytes(slots))
	if err != nil {
		return nil, err
	}
	head := (*ringHead)(mem)
	head.slots = uint32(slots)
	return &Ring{head: head, mask: uint32(slots - 1)}, nil
}

func ringBytes(slots int) int { return int(unsafe.Sizeof(ringHead{})) + slots*ringSlotSize }

// Close gives the ring's memory back. Producer and consumer must have stopped.
func (r *Ring) Close() error {
	head := r.head
	r.head = nil
	return unmapMemory(unsafe.Pointer(head), ringBytes(int(r.mask)+1))
}

// Base is the address of the shared head, for C.
func (r *Ring) Base() unsafe.Pointer { return unsafe.Pointer(r.head) }

// Put copies a frame into the ring. It answers false, and nothing is kept, when the ring is full or the frame is
// longer than RingFrameMax. Only the producer may call it.
func (r *Ring) Put(kind uint8, frame []byte) bool {
	tail := r.head.tail
	if tail-atomic.LoadUint32(&r.head.taken) > r.mask || len(frame) > RingFrameMax {
		return false
	}
	s := r.slot(tail)
	s.length, s.kind = uint16(len(frame)), kind
	copy(s.data[:], frame)
	atomic.StoreUint32(&r.head.tail, tail+1)
	return true
}

// Take copies the oldest frame into buf, which should hold RingFrameMax bytes. ok is false when the ring is empty.
// Only the consumer may call it.
func (r *Ring) Take(buf []byte) (n int, kind uint8, ok bool) {
	taken := r.head.taken
	if taken == atomic.LoadUint32(&r.head.tail) {
		return 0, 0, false
	}
	s := r.slot(taken)
	n = copy(buf, s.data[:s.length])
	kind = s.kind
	atomic.StoreUint32(&r.head.taken, taken+1)
	return n, kind, true
}

// Len is the number of frames waiting.
func (r *Ring) Len() int {
	return int(atomic.LoadUint32(&r.head.tail) - atomic.LoadUint32(&r.head.taken))
}

// Cap is the number of frames that the ring holds.
func (r *Ring) Cap() int { return int(r.mask) + 1 }

func (r *Ring) slot(index uint32) *ringSlot {
	return (*ringSlot)(unsafe.Add(unsafe.Pointer(r.head), unsafe.Sizeof(ringHead{})+uintptr(index&r.mask)*ringSlotSize))
}

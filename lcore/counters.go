package lcore

import (
	"sync/atomic"
	"unsafe"

	"turnout/flowtable"
)

// Counters are what one lcore counts. They lie off the Go heap; their lcore writes them with plain stores, anybody
// else reads a copy by ReadCounters. Every field is 8 bytes wide.
type Counters struct {
	RxPackets uint64
	RxBytes   uint64 // Ethernet header included, checksum not
	Drops     [Reasons]uint64
	Punted    [PuntKinds]uint64

	Polls      uint64 // turns of the loop
	EmptyPolls uint64 // turns that received nothing
	BurstSizes [BurstSizeBuckets]uint64
	Gaps       [GapBuckets]uint64
	BusyCycles uint64 // TSC cycles of turns that received frames
	Cycles     uint64 // TSC cycles of all turns

	Unpinned uint64 // new flows of services with persistence for whose clients there was no room for a template

	Epoch uint64 // of the snapshot in use; those before are no longer looked at
	Tick  uint64 // of the flow table's clock
	Flows flowtable.Stats
}

// BurstSizeBuckets is the number of buckets of the burst size histogram: bucket i counts bursts of less than 2^i
// frames, and not of less than 2^(i-1).
const BurstSizeBuckets = 8

// GapBuckets is the number of buckets of the poll gap histogram: bucket i counts gaps of less than 2^i TSC cycles,
// and not of less than 2^(i-1). A gap is the time between the end of one receive call and the start of the next.
const GapBuckets = 40

// PortCounters are what a queue counts of what it sends. They lie in the Burst and are written by Turn.
type PortCounters struct {
	TxPackets uint64
	TxBytes   uint64
	TxDropped uint64 // refused by a full tx ring
	Injected  uint64 // taken from the inject ring, sent by the kernel
	Generated uint64 // taken from the inject ring, made by turnout
}

// RealCounters are what one lcore counts for one real server of one service; one cache line.
type RealCounters struct {
	Packets     uint64
	Bytes       uint64
	Connections uint64
	Rescheduled uint64 // flows given to this server after theirs was gone
	Active      uint64 // flows held that are ESTABLISHED
	Inactive    uint64 // flows held in any other state
	Syns        uint64 // handshakes that clients began with this server
	Unanswered  uint64 // of these: those that ended, by time, eviction, a reset or a move, before the client's ACK
}

// Handshakes are what one lcore tells of connections to one real server of one service from their clients' packets
// alone, beside RealCounters: what only those packets touch that change a flow's state.
type Handshakes struct {
	Retransmissions uint64 // SYNs said again before the client's ACK
	Resets          uint64 // connections that the client has reset
	Fins            uint64 // connections that the client has closed
	Milliseconds    uint64 // sum of the times below
	Times           [HandshakeBuckets]uint64
}

// HandshakeBuckets is the number of buckets of the histogram of the times from a client's SYN to its first ACK, two to
// each doubling. HandshakeBound tells how far they go.
const HandshakeBuckets = 32

// HandshakeBound is the end of a bucket, in milliseconds: it holds what is less, down to the end of the one before. The
// last one holds all that is longer, too.
func HandshakeBound(bucket int) uint64 {
	if bucket < 2 {
		return uint64(bucket) + 1
	}
	return uint64(3+bucket&1) << (bucket/2 - 1)
}

// Plus adds up, field by field.
func (h Handshakes) Plus(o Handshakes) Handshakes {
	h.Retransmissions += o.Retransmissions
	h.Resets += o.Resets
	h.Fins += o.Fins
	h.Milliseconds += o.Milliseconds
	for i, n := range o.Times {
		h.Times[i] += n
	}
	return h
}

// Minus takes o off, field by field.
func (h Handshakes) Minus(o Handshakes) Handshakes {
	h.Retransmissions -= o.Retransmissions
	h.Resets -= o.Resets
	h.Fins -= o.Fins
	h.Milliseconds -= o.Milliseconds
	for i, n := range o.Times {
		h.Times[i] -= n
	}
	return h
}

// MaxReals is the number of real servers that counters can be kept for, over all services.
const MaxReals = 1 << 20

const (
	countersBytes = int(unsafe.Sizeof(Counters{}))
	realBytes     = int(unsafe.Sizeof(RealCounters{}))
)

var _ [64]byte = [realBytes]byte{}

// add counts delta flows as active or inactive, by their state. delta is 1 or minus 1.
func (c *RealCounters) add(state flowtable.State, delta uint64) {
	if state == flowtable.Established {
		c.Active += delta
	} else {
		c.Inactive += delta
	}
}

// readWords copies a struct of 8-byte words that another thread writes, each read whole.
func readWords[T any](from *T) (to T) {
	words := int(unsafe.Sizeof(to) / 8)
	src := unsafe.Slice((*uint64)(unsafe.Pointer(from)), words)
	dst := unsafe.Slice((*uint64)(unsafe.Pointer(&to)), words)
	for i := range dst {
		dst[i] = atomic.LoadUint64(&src[i])
	}
	return to
}

// writeWords is the opposite: each word is written whole.
func writeWords[T any](to, from *T) {
	words := int(unsafe.Sizeof(*to) / 8)
	src := unsafe.Slice((*uint64)(unsafe.Pointer(from)), words)
	dst := unsafe.Slice((*uint64)(unsafe.Pointer(to)), words)
	for i := range src {
		atomic.StoreUint64(&dst[i], src[i])
	}
}

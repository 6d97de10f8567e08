package lcore

import (
	"cmp"
	"runtime"
	"slices"
	"sync/atomic"
	"unsafe"

	"turnout/flowtable"
	"turnout/lcore/frame"
)

// KeptFrames is how many dropped frames of each reason an lcore keeps: the latest ones.
const KeptFrames = 64

// KeptBytes is how much of a dropped frame is kept. The headers of a TCP segment take at most 134 bytes (Ethernet 14, IPv4
// and TCP 60 each), those of an ICMP error with what it quotes of a plain one 122; the rest shows how the payload begins.
const KeptBytes = 256

// keptPerTick is how many frames more of each reason may be kept with every tick, up to KeptFrames at once: 64 a second.
// Up to that rate every dropped frame is kept, above it a share that is spread over the latest second.
const keptPerTick = KeptFrames / flowtable.TicksPerSecond

// A KeptFrame is a dropped frame as it was received, and the decision on it.
type KeptFrame struct {
	Number  uint64 // counts the frames kept of the reason on this lcore, from 1
	TSC     uint64 // when its burst was received
	Epoch   uint64 // of the snapshot that decided
	Length  uint32 // of the frame, in bytes
	Service int32  // id of the service that the packet is for; -1: none
	Slot    int32  // of its flow's real server; -1: it has no flow
	State   flowtable.State
	Kind    PuntKind // as what it was to be punted; PuntKinds: it was not
	_       [2]byte
	data    [KeptBytes]byte
}

var _ [0]byte = [unsafe.Sizeof(KeptFrame{}) % 8]byte{} // it is copied by words

// Data is the frame, or its first KeptBytes bytes.
func (k *KeptFrame) Data() []byte { return k.data[:min(k.Length, KeptBytes)] }

// keptSlot holds one frame. The sequence is 0 while there was none, odd while a frame is written, and twice its number
// once it is there: who reads the same even one before and after has a whole frame.
type keptSlot struct {
	sequence uint64
	frame    KeptFrame
}

// keptSlots lie off the Go heap. Their lcore writes them, anybody reads them.
type keptSlots [Reasons][KeptFrames]keptSlot

const keptSlotsBytes = int(unsafe.Sizeof(keptSlots{}))

// blackBox keeps the latest dropped frames of each reason. A drop costs a look at the reason's tokens; a frame that takes
// one is noted, and copied after its burst was decided.
type blackBox struct {
	tokens [Reasons]uint32
	filled uint32 // tick of the latest refill
	noted  uint32 // how many of the notes are of this burst
	notes  [BurstSize]note
	kinds  [BurstSize]PuntKind // by frame: as what it was last to be punted
	counts [Reasons]uint64     // frames kept so far
	slots  *keptSlots
}

// note says that a frame of the burst was dropped, and why.
type note struct {
	reason Reason
	frame  uint8 // index in the burst
}

// refill adds what the time since the last refill is worth.
func (b *blackBox) refill(now uint32) {
	if now == b.filled {
		return
	}
	fresh := min(now-b.filled, flowtable.TicksPerSecond) * keptPerTick
	b.filled = now
	for r := range b.tokens {
		b.tokens[r] = min(b.tokens[r]+fresh, KeptFrames)
	}
}

// note takes a token of the reason.
func (b *blackBox) note(r Reason, i int) {
	b.tokens[r]--
	b.notes[b.noted&(BurstSize-1)] = note{r, uint8(i)}
	b.noted++
}

// record keeps the frames that were noted. It comes after the stages, which have not touched what they dropped.
func (w *Worker) record(s *Snapshot) {
	box := &w.box
	for _, n := range box.notes[:min(box.noted, BurstSize)] {
		box.counts[n.reason]++
		k := KeptFrame{Number: box.counts[n.reason]}
		w.describe(s, &k, n)
		box.slots[n.reason][k.Number%KeptFrames].write(&k)
	}
	box.noted = 0
}

// describe copies a frame, and tells which service and flow it belongs to.
func (w *Worker) describe(s *Snapshot, k *KeptFrame, n note) {
	at := n.frame & (BurstSize - 1)
	f, length := w.burst.Frames[at], w.burst.Lengths[at]
	k.TSC, k.Epoch, k.Length, k.Kind, k.Service, k.Slot = w.burst.TSC, s.epoch, length, PuntKinds, -1, -1
	copy(k.data[:], unsafe.Slice((*byte)(f), length))
	if n.reason == ReasonPuntLimited || n.reason == ReasonPuntFull {
		k.Kind = w.box.kinds[at]
	}
	key, ok := s.keyOf(f, length)
	if !ok {
		return
	}
	k.Service = int32(key.Service)
	if flow := w.flows.Lookup(w.flows.Hash(&key), &key, w.now); flow != nil {
		k.Slot, k.State = int32(flow.Slot), flow.State
	}
}

// keyOf is the key of the flow that a frame belongs to, if it is a whole packet for a service.
func (s *Snapshot) keyOf(f unsafe.Pointer, length uint32) (key flowtable.Key, ok bool) {
	if length < frame.EthernetLen || frame.EthernetAt(f).Type() != frame.EtherTypeIPv4 || frame.CheckIPv4(f, length) != frame.FaultNone {
		return key, false
	}
	ip := frame.IPv4At(f)
	if ip.Fragment() || !transportFits(ip) {
		return key, false
	}
	ports := frame.PortsAt(f, ip.L4())
	id, ok := s.find(ip.Destination(), ip.Protocol(), ports.Destination())
	both := ports.Both()
	return flowtable.Key{VIPPort: uint16(both), ClientPort: uint16(both >> 16), Client: ip.Source(), Service: uint16(id)}, ok
}

// write replaces what is in the slot.
func (s *keptSlot) write(k *KeptFrame) {
	atomic.StoreUint64(&s.sequence, 2*k.Number-1)
	writeWords(&s.frame, k)
	atomic.StoreUint64(&s.sequence, 2*k.Number)
}

// tornReads is how often a slot is read again that was written meanwhile. Writing takes less than a microsecond; a slot
// whose lcore was stopped amid it is left out.
const tornReads = 1000

// read copies the slot's frame, unless there is none.
func (s *keptSlot) read() (k KeptFrame, ok bool) {
	for range tornReads {
		before := atomic.LoadUint64(&s.sequence)
		if before == 0 {
			return k, false
		}
		if k = readWords(&s.frame); before&1 == 0 && atomic.LoadUint64(&s.sequence) == before {
			return k, true
		}
		runtime.Gosched()
	}
	return k, false
}

// Kept returns the frames that are kept of a reason, the oldest first. The lcore goes on meanwhile.
func (w *Worker) Kept(r Reason) (frames []KeptFrame) {
	for i := range w.box.slots[r] {
		if k, ok := w.box.slots[r][i].read(); ok {
			frames = append(frames, k)
		}
	}
	slices.SortFunc(frames, func(a, b KeptFrame) int { return cmp.Compare(a.Number, b.Number) })
	return frames
}

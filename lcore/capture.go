package lcore

import (
	"sync/atomic"
	"unsafe"

	"turnout/flowtable"
)

// CaptureBytes is how much of a forwarded frame is captured: all of it at an MTU of 1500.
const CaptureBytes = 1536

// A CapturedFrame is a forwarded frame, before and after its rewrite.
type CapturedFrame struct {
	TSC     uint64 // when its burst was received
	Epoch   uint64 // of the snapshot that decided
	Length  uint32 // of the frame, in bytes
	Service uint16 // id
	Slot    uint16 // the real server's
	Known   bool   // the flow is remembered, in this state
	State   flowtable.State
	ok      bool // it was forwarded
	before  [CaptureBytes]byte
	after   [CaptureBytes]byte
}

// Before is the frame as it was received, or its first CaptureBytes bytes.
func (c *CapturedFrame) Before() []byte { return c.before[:min(c.Length, CaptureBytes)] }

// After is the frame as it was sent, or its first CaptureBytes bytes.
func (c *CapturedFrame) After() []byte { return c.after[:min(c.Length, CaptureBytes)] }

// Capture is a filter, and a ring of copies of the forwarded frames that pass it. It has one producer, an lcore, and one
// consumer, who makes it. It lies on the Go heap and has no pointers but to itself: it goes when both have let go of it.
type Capture struct {
	service int    // id; -1: every one
	client  uint32 // 0: every one
	left    int    // how many more frames are wanted; the producer's
	frames  []CapturedFrame
	picked  [BurstSize]uint8 // indexes of pending flows; the producer's
	picks   int              // how many of them

	tail   atomic.Uint32 // next frame to fill; written by the producer
	taken  atomic.Uint32 // next frame to empty; written by the consumer
	missed atomic.Uint64 // frames that found the ring full
}

// NewCapture makes a capture of up to count frames, of a service's id (-1: any) and of a client's address (0: any), with
// room for so many frames, a power of two, that wait to be taken.
func NewCapture(service int, client uint32, count, room int) *Capture {
	return &Capture{service: service, client: client, left: count, frames: make([]CapturedFrame, room)}
}

// Capture has the lcore copy forwarded frames from the next burst on, until it is given another capture, or nil.
func (w *Worker) Capture(c *Capture) { w.capture.Store(c) }

// Take copies the oldest captured frame. ok is false when there is none. Only the consumer may call it.
func (c *Capture) Take(f *CapturedFrame) (ok bool) {
	for !ok {
		taken := c.taken.Load()
		if taken == c.tail.Load() {
			return false
		}
		*f = *c.at(taken)
		ok = f.ok
		c.taken.Store(taken + 1)
	}
	return true
}

// Missed is the number of frames that should have been captured and found the ring full.
func (c *Capture) Missed() uint64 { return c.missed.Load() }

func (c *Capture) at(index uint32) *CapturedFrame { return &c.frames[index&uint32(len(c.frames)-1)] }

// before copies the frames of the burst that pass the filter and have a real server.
func (c *Capture) before(w *Worker) {
	tail := c.tail.Load()
	room := len(c.frames) - int(tail-c.taken.Load())
	c.picks = 0
	for i := range w.pend[:w.pending] {
		if c.left == 0 || !c.wants(w, i) {
			continue
		}
		if c.picks == room {
			c.missed.Add(1)
			continue
		}
		f := c.at(tail + uint32(c.picks))
		w.portray(f, i)
		copy(f.before[:], w.pendingFrame(i))
		c.picked[c.picks] = uint8(i)
		c.picks++
		c.left--
	}
}

func (c *Capture) wants(w *Worker, i int) bool {
	key := &w.keys[i]
	return w.pend[i].real < downReal && (c.service < 0 || int(key.Service) == c.service) && (c.client == 0 || key.Client == c.client)
}

// portray tells all of a pending flow's frame but its bytes.
func (w *Worker) portray(f *CapturedFrame, i int) {
	p, key := &w.pend[i], &w.keys[i]
	*f = CapturedFrame{TSC: w.burst.TSC, Length: w.burst.Lengths[p.frame], Service: key.Service}
	if flow := w.flows.Lookup(w.hashes[i], key, w.now); flow != nil {
		f.Known, f.State = true, flow.State
	}
}

// after copies them again, rewritten, and hands them to the consumer. One that turned out to be a loop was not forwarded.
func (c *Capture) after(w *Worker, s *Snapshot) {
	tail := c.tail.Load()
	for n, i := range c.picked[:c.picks] {
		f, p := c.at(tail+uint32(n)), &w.pend[i]
		copy(f.after[:], w.pendingFrame(int(i)))
		f.Epoch, f.Slot = s.epoch, uint16(p.real-s.services[f.Service].first)
		f.ok = w.burst.Verdicts[p.frame] == Forward
	}
	c.tail.Store(tail + uint32(c.picks))
}

// pendingFrame are the bytes of a pending flow's frame.
func (w *Worker) pendingFrame(i int) []byte {
	at := w.pend[i].frame
	return unsafe.Slice((*byte)(w.burst.Frames[at]), w.burst.Lengths[at])
}

// Package memory has a queue over plain memory, so that everything above a port can be tested without DPDK.
package memory

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"turnout/lcore"
)

// pageSize is amd64's and arm64's usual one, in bytes: the room for one frame.
const pageSize = 4096

// Queue is a lcore.Queue whose frames come from and go to slices. The frames that a worker sees lie off the Go heap, as
// those of a device do. Each ends where a page without access begins, so that reading past its end crashes.
type Queue struct {
	In      [][]byte       // frames still to be received; a burst takes up to lcore.BurstSize of them
	Out     [][]byte       // frames sent, in order
	Decided []Decision     // what became of every frame received, in order
	Inject  *lcore.Ring    // frames to be sent beside the forwarded ones, or nil
	Now     uint64         // the TSC that the next Turn shows
	Step    uint64         // by how much it grows with every Turn
	OnTurn  func(turn int) // called first in every Turn, if not nil
	turns   int
	rooms   []byte                  // a page for each frame of a burst, and the page without access behind it
	taken   [lcore.BurstSize][]byte // the frames of this burst as they came
}

// Decision is a received frame, what was decided, and the frame afterwards.
type Decision struct {
	Before, After []byte
	Verdict       lcore.Verdict
}

// New makes a queue; Close gives its memory back.
func New() (*Queue, error) {
	rooms, err := syscall.Mmap(-1, 0, lcore.BurstSize*2*pageSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map memory for %d frames: %w", lcore.BurstSize, err)
	}
	q := &Queue{rooms: rooms}
	for i := range lcore.BurstSize {
		if err := syscall.Mprotect(rooms[(2*i+1)*pageSize:][:pageSize], syscall.PROT_NONE); err != nil {
			return nil, errors.Join(fmt.Errorf("guard the room of frame %d: %w", i, err), q.Close())
		}
	}
	return q, nil
}

// Reset makes the queue as New left it.
func (q *Queue) Reset() { *q = Queue{rooms: q.rooms} }

// Close gives the queue's memory back.
func (q *Queue) Close() error { return syscall.Munmap(q.rooms) }

// room is where frame i of a burst lies, given its length.
func (q *Queue) room(i, length int) []byte {
	if length > pageSize {
		panic(fmt.Sprintf("memory: a frame of %d bytes, there is room for %d", length, pageSize))
	}
	return q.rooms[2*i*pageSize:][pageSize-length : pageSize : pageSize]
}

// Turn is that of lcore.Queue.
func (q *Queue) Turn(b *lcore.Burst) {
	if q.OnTurn != nil {
		q.OnTurn(q.turns)
	}
	q.turns++
	b.Entered = q.Now
	q.commit(b)
	q.inject(b)
	q.receive(b)
	q.Now += q.Step
	b.TSC = q.Now
}

func (q *Queue) commit(b *lcore.Burst) {
	for i := range int(b.Count) {
		after := bytes.Clone(q.room(i, len(q.taken[i])))
		q.Decided = append(q.Decided, Decision{q.taken[i], after, b.Verdicts[i]})
		if b.Verdicts[i] == lcore.Forward {
			q.send(b, after)
		}
	}
	b.Count = 0
}

func (q *Queue) inject(b *lcore.Burst) {
	if q.Inject == nil {
		return
	}
	buf := make([]byte, lcore.RingFrameMax)
	for n, kind, ok := q.Inject.Take(buf); ok; n, kind, ok = q.Inject.Take(buf) {
		if lcore.InjectKind(kind) == lcore.InjectKernel {
			b.Port.Injected++
		} else {
			b.Port.Generated++
		}
		q.send(b, bytes.Clone(buf[:n]))
	}
}

func (q *Queue) send(b *lcore.Burst, frame []byte) {
	q.Out = append(q.Out, frame)
	b.Port.TxPackets++
	b.Port.TxBytes += uint64(len(frame))
}

func (q *Queue) receive(b *lcore.Burst) {
	if b.Last != 0 {
		return
	}
	n := min(len(q.In), lcore.BurstSize)
	for i, frame := range q.In[:n] {
		room := q.room(i, len(frame))
		copy(room, frame)
		q.taken[i] = frame
		b.Frames[i] = unsafe.Pointer(unsafe.SliceData(room))
		b.Lengths[i] = uint32(len(frame))
	}
	q.In = q.In[n:]
	b.Count = uint32(n)
}

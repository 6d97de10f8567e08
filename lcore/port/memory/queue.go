// Package memory has a queue over plain memory, so that everything above a port can be tested without DPDK.
package memory

import (
	"fmt"
	"syscall"
	"unsafe"

	"turnout/lcore"
)

// frameRoom is the room for one frame, in bytes.
const frameRoom = 2048

// Queue is a lcore.Queue whose frames come from and go to slices. The frames that a worker sees lie off the Go heap, as
// those of a device do.
type Queue struct {
	In      [][]byte       // frames still to be received; a burst takes up to lcore.BurstSize of them
	Out     [][]byte       // frames sent, in order
	Decided []Decision     // what became of every frame received, in order
	Inject  *lcore.Ring    // frames to be sent beside the forwarded ones, or nil
	Now     uint64         // the TSC that the next Turn shows
	Step    uint64         // by how much it grows with every Turn
	OnTurn  func(turn int) // called first in every Turn, if not nil
	turns   int
	room    *[lcore.BurstSize][frameRoom]byte
	taken   [lcore.BurstSize][]byte // the frames of this burst as they came
}

// Decision is a received frame, what was decided, and the frame afterwards.
type Decision struct {
	Before, After []byte
	Verdict       lcore.Verdict
}

// New makes a queue; Close gives its memory back.
func New() (*Queue, error) {
	mem, err := syscall.Mmap(-1, 0, lcore.BurstSize*frameRoom, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map memory for %d frames: %w", lcore.BurstSize, err)
	}
	return &Queue{room: (*[lcore.BurstSize][frameRoom]byte)(unsafe.Pointer(unsafe.SliceData(mem)))}, nil
}

// Close gives the queue's memory back.
func (q *Queue) Close() error {
	return syscall.Munmap(unsafe.Slice(&q.room[0][0], lcore.BurstSize*frameRoom))
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
		after := append([]byte(nil), q.room[i][:len(q.taken[i])]...)
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
		q.send(b, append([]byte(nil), buf[:n]...))
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
		q.taken[i] = frame
		copy(q.room[i][:], frame)
		b.Frames[i] = unsafe.Pointer(&q.room[i])
		b.Lengths[i] = uint32(len(frame))
	}
	q.In = q.In[n:]
	b.Count = uint32(n)
}

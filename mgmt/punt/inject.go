package punt

import (
	"sync"
	"sync/atomic"

	"turnout/lcore"
	"turnout/lcore/frame"
)

// Injector lets several goroutines send frames out of one port: a ring to an lcore has one producer only.
type Injector struct {
	mu     sync.Mutex
	ring   *lcore.Ring
	padded [frame.EthernetMin]byte

	full atomic.Uint64
	long atomic.Uint64
}

// NewInjector makes an Injector that becomes the only producer of ring.
func NewInjector(ring *lcore.Ring) *Injector { return &Injector{ring: ring} }

// Send copies a frame into the ring, padded with zeros to the shortest that Ethernet allows. It answers false, and the
// frame is counted as lost, when the ring is full or the frame too long for it.
func (i *Injector) Send(kind lcore.InjectKind, b []byte) bool {
	if len(b) > lcore.RingFrameMax {
		i.long.Add(1)
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.ring.Put(uint8(kind), i.pad(b)) {
		i.full.Add(1)
		return false
	}
	return true
}

// pad answers b itself when it is long enough.
func (i *Injector) pad(b []byte) []byte {
	if len(b) >= len(i.padded) {
		return b
	}
	clear(i.padded[copy(i.padded[:], b):])
	return i.padded[:]
}

package lcore

import (
	"math/bits"

	"turnout/flowtable"
	"turnout/lcore/frame"
)

// A director sees the client's packets only: the SYN, and the ACK that follows the real server's answer. The time between
// them is the real server's and the client's together; what never gets an ACK was not answered, or the client is gone.

// advance takes a flow to the state that follows a packet with these flags, and counts what that tells of the real server
// whose counters are given.
func (w *Worker) advance(counter uint32, f *flowtable.Flow, flags uint8) {
	c, h := &w.reals[counter&(MaxReals-1)], &w.handshakes[counter&(MaxReals-1)]
	was, next := f.State, f.State.Next(flags)
	if was == flowtable.SynReceived && next == was {
		w.repeat(h, f)
		return
	}
	if was == flowtable.SynReceived {
		w.end(c, h, f, flags)
	}
	c.add(was, ^uint64(0))
	c.add(next, 1)
	f.State = next
	switch {
	case next == flowtable.SynReceived:
		w.begin(c, f)
	case flags&frame.TCPRst != 0:
		h.Resets++
	case flags&frame.TCPFin != 0:
		h.Fins++
	}
}

// begin notes that a client's SYN has taken a flow to SYN_RECEIVED.
func (w *Worker) begin(c *RealCounters, f *flowtable.Flow) {
	c.Syns++
	f.Start = uint16(w.millis)
}

// longestWait is how long ago, in milliseconds, a handshake can have begun when its SYN is said again: so Start, which has
// 16 bits, does not wrap before the next one, unless the client is silent for half a minute and more.
const longestWait = 1 << 15

// repeat notes that the SYN has come again.
func (w *Worker) repeat(h *Handshakes, f *flowtable.Flow) {
	h.Retransmissions++
	f.Start = uint16(w.millis) - min(uint16(w.millis)-f.Start, longestWait)
}

// end notes that a packet takes a flow out of SYN_RECEIVED: an ACK is the client's answer to the real server's.
func (w *Worker) end(c *RealCounters, h *Handshakes, f *flowtable.Flow, flags uint8) {
	took := w.settle(f)
	if flags&(frame.TCPAck|frame.TCPRst) != frame.TCPAck {
		c.Unanswered++
		return
	}
	h.Milliseconds += uint64(took)
	h.Times[handshakeBucket(took)&(HandshakeBuckets-1)]++
}

// settle makes a flow's Start seconds, as it is in all states but SYN_RECEIVED, and returns its age in milliseconds.
func (w *Worker) settle(f *flowtable.Flow) (took uint16) {
	took = uint16(w.millis) - f.Start
	f.Start = uint16((w.millis - uint64(took)) / 1000)
	return took
}

// handshakeBucket is where a time in milliseconds belongs: by its highest two bits.
func handshakeBucket(took uint16) uint {
	n := uint(bits.Len16(took))
	if n < 2 {
		return n
	}
	return 2*(n-1) + uint(took>>(n-2))&1
}

// seconds is a tick of the flow table's clock for a flow's age.
func seconds(tick uint32) uint16 { return uint16(tick / flowtable.TicksPerSecond) }

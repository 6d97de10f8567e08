package lcore_test

import (
	"net/netip"
	"slices"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/sched"
)

// A twin decides as a worker must, one frame after the other, with maps and slices and no thought of speed. Its flow
// table has room for everything. What it shares with the worker is the state table of flows and the schedulers' tables,
// which have twins of their own.
type twin struct {
	spec       *lcore.Spec
	now        uint32 // tick
	millis     uint64 // the same in milliseconds
	flows      map[flowID]*twinFlow
	made       map[flowtable.Client]*flowtable.Template
	cursors    map[uint16]uint32 // by service
	reals      map[uint32]*lcore.RealCounters
	handshakes map[uint32]*lcore.Handshakes
	drops      [lcore.Reasons]uint64
	punted     [lcore.PuntKinds]uint64
	limits     lcore.Limits
}

type flowID struct {
	service    uint16
	client     netip.Addr
	clientPort uint16
	vipPort    uint16
}

type twinFlow struct {
	slot   uint16
	state  flowtable.State
	expiry uint32 // tick
	began  uint64 // millisecond
	pinned uint8
}

// An end is what becomes of a frame.
type end struct {
	verdict lcore.Verdict
	reason  lcore.Reason   // of a drop
	kind    lcore.PuntKind // of a punt
	real    *lcore.RealSpec
}

// forked is the state with tables that take turns of their own.
func forked(spec *lcore.Spec) *lcore.Spec {
	fork := *spec
	fork.Services = slices.Clone(spec.Services)
	for i := range fork.Services {
		if holder := fork.Services[i].Table; holder != nil && holder.Load() != nil {
			fork.Services[i].Table = holderOf(holder.Load().Fork())
		}
	}
	return &fork
}

func newTwin(spec *lcore.Spec) *twin {
	return &twin{spec: forked(spec), flows: map[flowID]*twinFlow{}, made: map[flowtable.Client]*flowtable.Template{}, cursors: map[uint16]uint32{}, reals: map[uint32]*lcore.RealCounters{}, handshakes: map[uint32]*lcore.Handshakes{}}
}

// count keeps the books.
func (w *twin) count(f []byte, e end) {
	switch e.verdict {
	case lcore.Drop:
		w.drops[e.reason]++
	case lcore.Punt:
		w.punted[e.kind]++
	case lcore.Forward:
		c := w.countersOf(e.real)
		c.Packets++
		c.Bytes += uint64(len(f))
	}
}

func (w *twin) countersOf(r *lcore.RealSpec) *lcore.RealCounters {
	if w.reals[r.Counter] == nil {
		w.reals[r.Counter], w.handshakes[r.Counter] = &lcore.RealCounters{}, &lcore.Handshakes{}
	}
	return w.reals[r.Counter]
}

func dropped(r lcore.Reason) end  { return end{reason: r} }
func punted(k lcore.PuntKind) end { return end{verdict: lcore.Punt, kind: k} }

// decide is the order of decisions as docs/packets.md has it.
func (w *twin) decide(f []byte) end {
	if len(f) < 14 {
		return dropped(lcore.ReasonTooShort)
	}
	to, from, etherType := frame.MAC(f[:6]), frame.MAC(f[6:12]), number(f[12:14])
	switch {
	case from == w.spec.PortMAC:
		return dropped(lcore.ReasonLoop)
	case to != w.spec.PortMAC && to[0]%2 == 0:
		return dropped(lcore.ReasonNotForUs)
	case etherType == 0x0806:
		return punted(lcore.PuntARP)
	case etherType != 0x0800:
		return punted(lcore.PuntOther)
	}
	pkt := f[14:]
	if len(pkt) < 20 {
		return dropped(lcore.ReasonTooShort)
	}
	headerLen, totalLen := 4*(int(pkt[0])%16), number(pkt[2:4])
	switch {
	case pkt[0]>>4 != 4:
		return dropped(lcore.ReasonBadVersion)
	case headerLen < 20:
		return dropped(lcore.ReasonBadHeader)
	case totalLen < headerLen || totalLen > len(pkt):
		return dropped(lcore.ReasonBadLength)
	}
	dst := netip.AddrFrom4([4]byte(pkt[16:20]))
	switch {
	case !w.isVIP(dst) && pkt[9] == 112:
		return punted(lcore.PuntVRRP)
	case !w.isVIP(dst) && dst == address(w.spec.DIP) && w.isReal(frame.MAC(f[6:12])):
		return punted(lcore.PuntReply)
	case !w.isVIP(dst) && dst == address(w.spec.DIP):
		return punted(lcore.PuntDIP)
	case !w.isVIP(dst):
		return punted(lcore.PuntOther)
	case to != w.spec.PortMAC:
		return dropped(lcore.ReasonNotForUs)
	case w.spec.Standby:
		return dropped(lcore.ReasonStandby)
	case pkt[6]&0x20 != 0 || number(pkt[6:8])%0x2000 != 0:
		return dropped(lcore.ReasonFragment)
	}
	return w.decideTransport(f, from, pkt[9], netip.AddrFrom4([4]byte(pkt[12:16])), dst, pkt[headerLen:totalLen])
}

// decideTransport decides a whole packet to a VIP.
func (w *twin) decideTransport(f []byte, from frame.MAC, protocol uint8, src, dst netip.Addr, segment []byte) end {
	shortest := map[uint8]int{1: 8, 6: 20, 17: 8}
	n, known := shortest[protocol]
	switch {
	case !known:
		return dropped(lcore.ReasonProtocol)
	case len(segment) < n:
		return dropped(lcore.ReasonTooShort)
	case protocol == 1 && segment[0] == 0 && w.isReal(from):
		return punted(lcore.PuntReply)
	case protocol == 1 && segment[0] != 8:
		return dropped(lcore.ReasonICMP)
	case protocol == 1:
		return punted(lcore.PuntEcho)
	}
	svc := w.service(dst, protocol, uint16(number(segment[2:4])))
	if svc == nil {
		return dropped(lcore.ReasonNoService)
	}
	if w.forbidden(from, dst) {
		return dropped(lcore.ReasonLoop)
	}
	flags := uint8(0)
	if protocol == 6 {
		flags = segment[13]
	}
	id := flowID{svc.ID, src, uint16(number(segment[:2])), uint16(number(segment[2:4]))}
	if svc.Strict && !w.knows(id) && (flags&frame.TCPSyn == 0 || flags&frame.TCPRst != 0) {
		return dropped(lcore.ReasonNoFlow)
	}
	slot := w.slot(svc, id, flags)
	if slot == sched.None {
		return w.refused(svc)
	}
	r := &svc.Reals[slot]
	if r.State == lcore.RealDown {
		return dropped(lcore.ReasonRealServerDown)
	}
	if r.MAC == from {
		return dropped(lcore.ReasonLoop)
	}
	return end{verdict: lcore.Forward, real: r}
}

// refused is the end of a packet for which there is no real server.
func (w *twin) refused(svc *lcore.ServiceSpec) end {
	if !svc.Unreachable {
		return dropped(lcore.ReasonNoRealServer)
	}
	w.limits.Refill(w.now)
	if !w.limits.Take(lcore.PuntUnreachable) {
		return dropped(lcore.ReasonNoRealServer)
	}
	return punted(lcore.PuntUnreachable)
}

// slot is the real server of a flow, which is remembered.
func (w *twin) slot(svc *lcore.ServiceSpec, id flowID, flags uint8) uint16 {
	if !w.knows(id) {
		return w.newFlow(svc, id, flags)
	}
	f := w.flows[id]
	gone := svc.Reals[f.slot].State == lcore.RealGone
	closing := f.state == flowtable.FinWait || f.state == flowtable.TimeWait || f.state == flowtable.Close
	reopened := closing && flags&frame.TCPSyn != 0 && flags&frame.TCPRst == 0
	if gone || reopened {
		slot := w.pick(svc, id, false)
		if slot == sched.None {
			return sched.None
		}
		w.unpin(id, f)
		f.slot = slot
		w.pin(svc, id, f)
		if c := w.countersOf(&svc.Reals[slot]); reopened {
			c.Connections++
		} else {
			c.Rescheduled++
		}
		if f.state == flowtable.SynReceived { // the one before has not answered
			w.waited(f)
			f.state = flowtable.SynSettled
		}
	}
	if svc.Reals[f.slot].State == lcore.RealDown {
		return f.slot
	}
	w.advance(&svc.Reals[f.slot], f, flags)
	f.expiry = w.now + svc.Timeouts[f.state]
	return f.slot
}

// knows says whether a flow is remembered, and lets one go whose time is over.
func (w *twin) knows(id flowID) bool {
	f := w.flows[id]
	if f != nil && int32(w.now-f.expiry) >= 0 {
		w.end(id)
		return false
	}
	return f != nil
}

// newFlow picks a real server. A flow that begins with its end is not remembered.
func (w *twin) newFlow(svc *lcore.ServiceSpec, id flowID, flags uint8) uint16 {
	slot := w.pick(svc, id, svc.Protocol == frame.ProtocolTCP && (flags&frame.TCPSyn == 0 || flags&frame.TCPRst != 0))
	if slot == sched.None {
		return sched.None
	}
	if svc.OnePacket {
		w.countersOf(&svc.Reals[slot]).Connections++
		return slot
	}
	named := w.named(svc, id)
	state := flowtable.UDP
	if svc.Protocol == frame.ProtocolTCP {
		state = flowtable.None.Next(flags)
	}
	if state == flowtable.Close && named != nil {
		return named.Slot
	}
	if state == flowtable.Close {
		return svc.Table.Load().PickByHash(w.hash(svc, id))
	}
	w.flows[id] = &twinFlow{slot, state, w.now + svc.Timeouts[state], w.millis, 0}
	w.pin(svc, id, w.flows[id])
	w.countersOf(&svc.Reals[slot]).Connections++
	if state == flowtable.SynReceived {
		w.countersOf(&svc.Reals[slot]).Syns++
	}
	return slot
}

// advance changes a flow's state and counts what its packet tells.
func (w *twin) advance(r *lcore.RealSpec, f *twinFlow, flags uint8) {
	c := w.countersOf(r)
	h := w.handshakes[r.Counter]
	was, next := f.state, f.state.Next(flags)
	f.state = next
	has := func(flag uint8) bool { return flags&flag != 0 }
	took := uint64(0)
	if was == flowtable.SynReceived {
		took = w.waited(f)
	}
	switch {
	case was == flowtable.SynReceived && next == was:
		h.Retransmissions++
		f.began = w.millis - min(took, 1<<15)
		return
	case was == flowtable.SynReceived && has(frame.TCPAck) && !has(frame.TCPRst):
		h.Milliseconds += took
		bucket := 0
		for lcore.HandshakeBound(bucket) <= took {
			bucket++
		}
		h.Times[bucket]++
	case next == was:
		return
	}
	switch {
	case next == flowtable.SynReceived:
		c.Syns++
		f.began = w.millis
	case has(frame.TCPRst):
		h.Resets++
	case has(frame.TCPFin):
		h.Fins++
	}
}

// waited is how many milliseconds a handshake has taken so far, as 16 bits tell.
func (w *twin) waited(f *twinFlow) uint64 {
	took := (w.millis - f.began) % (1 << 16)
	f.began = w.millis - took
	return took
}

// start is when a flow began as its entry has it.
func (f *twinFlow) start() uint16 {
	if f.state == flowtable.SynReceived {
		return uint16(f.began)
	}
	return uint16(f.began / 1000)
}

func (w *twin) pick(svc *lcore.ServiceSpec, id flowID, underWay bool) uint16 {
	if m := w.named(svc, id); m != nil {
		return m.Slot
	}
	if svc.Table == nil || svc.Table.Load() == nil {
		return sched.None
	}
	if underWay {
		return svc.Table.Load().PickByHash(w.hash(svc, id))
	}
	cursor := w.cursors[svc.ID]
	slot := svc.Table.Load().Pick(w.hash(svc, id), &cursor)
	w.cursors[svc.ID] = cursor
	return slot
}

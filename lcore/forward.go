package lcore

import (
	"math/bits"
	"unsafe"

	"turnout/flowtable"
	"turnout/lcore/frame"
	"turnout/sched"
)

// pending is what the stages know of a frame that is a flow of a virtual service.
type pending struct {
	key   flowtable.Key
	frame uint8  // index in the burst; set by stage 1
	flags uint8  // TCP flags, 0 for UDP; set by stage 1
	udp   bool   // set by stage 1
	real  uint32 // index in the snapshot's reals, or noReal; set by stage 2
}

// noReal stands for no real server.
const noReal = 1<<32 - 1

// forward decides a burst in three stages, each over all its frames, so that the cache misses of one frame overlap with
// those of the others.
func (w *Worker) forward(s *Snapshot) {
	w.limits.refill(w.now)
	w.inspect(s)
	w.choose(s)
	w.rewrite(s)
}

// inspect is stage 1: it decides by the headers alone, or notes the frame as a pending flow and brings its bucket of
// the flow table towards the CPU. Plain frames to a virtual service, nearly all there are, take a short cut.
func (w *Worker) inspect(s *Snapshot) {
	b := w.burst
	count := min(int(b.Count), BurstSize)
	w.pending = 0
	received := uint64(0)
	for i := range count {
		f, length := b.Frames[i], b.Lengths[i]
		received += uint64(length)
		b.Verdicts[i] = Drop
		if id, ok := s.plainService(f, length); ok {
			w.note(f, frame.EthernetLen+frame.IPv4Len, id, i)
		} else {
			b.Verdicts[i] = w.inspectFrame(s, i)
		}
	}
	w.counters.RxPackets += uint64(count)
	w.counters.RxBytes += received
	w.flows.Prefetch(w.hashes[:w.pending&(2*BurstSize-1)])
}

// inspectFrame decides one frame; the first refusal wins. A pending flow is dropped unless a later stage forwards it.
func (w *Worker) inspectFrame(s *Snapshot, i int) Verdict {
	f, length := w.burst.Frames[i], w.burst.Lengths[i]
	if length < frame.EthernetLen {
		return w.drop(ReasonTooShort)
	}
	eth := frame.EthernetAt(f)
	if eth.Source() == s.portMAC {
		return w.drop(ReasonLoop)
	}
	toPort := eth.Destination() == s.portMAC
	if !toPort && !eth.Destination().Group() {
		return w.drop(ReasonNotForUs)
	}
	if eth.Type() != frame.EtherTypeIPv4 {
		return w.puntOther(eth.Type(), i)
	}
	if fault := frame.CheckIPv4(f, length); fault != frame.FaultNone {
		return w.drop(faultReasons[fault])
	}
	ip := frame.IPv4At(f)
	if !toPort || ip.Fragment() || !transportFits(ip) {
		return w.inspectRest(s, toPort, i)
	}
	ports := frame.PortsAt(f, ip.L4())
	id, ok := s.find(ip.Destination(), ip.Protocol(), ports.Destination())
	if !ok {
		return w.inspectRest(s, toPort, i)
	}
	svc := &s.services[id]
	if s.forbidden(eth.Source(), svc.vipIndex) {
		return w.drop(ReasonLoop)
	}
	w.note(f, ip.L4(), id, i)
	return Drop
}

// faultReasons tells the reason to drop a packet whose header has a fault.
var faultReasons = [...]Reason{
	frame.FaultShort: ReasonTooShort, frame.FaultVersion: ReasonBadVersion, frame.FaultHeader: ReasonBadHeader,
	frame.FaultLength: ReasonBadLength,
}

// transportFits says whether the packet holds a whole TCP or UDP header without options.
func transportFits(ip *frame.IPv4) bool {
	length := ip.TotalLen() - ip.HeaderLen()
	switch ip.Protocol() {
	case frame.ProtocolTCP:
		return length >= frame.TCPLen
	case frame.ProtocolUDP:
		return length >= frame.UDPLen
	}
	return false
}

// note keeps a packet of a virtual service, whose transport header begins at l4, for the later stages.
func (w *Worker) note(f unsafe.Pointer, l4, id uint32, i int) {
	ip, ports := frame.IPv4At(f), frame.PortsAt(f, l4)
	at := w.pending & (BurstSize - 1)
	p := &w.pend[at]
	p.key = flowtable.Key{Client: ip.Source(), ClientPort: ports.Source(), VIPPort: ports.Destination(), Service: uint16(id)}
	p.frame, p.flags, p.udp = uint8(i), 0, ip.Protocol() == frame.ProtocolUDP
	if !p.udp {
		p.flags = frame.TCPAt(f, l4).Flags()
	}
	w.hashes[at] = w.flows.Hash(&p.key)
	w.pending++
}

// inspectRest decides an IPv4 packet that is not a flow of a virtual service.
func (w *Worker) inspectRest(s *Snapshot, toPort bool, i int) Verdict {
	f := w.burst.Frames[i]
	ip := frame.IPv4At(f)
	if !s.isVIP(ip.Destination()) {
		return w.puntIP(s, ip, i)
	}
	if !toPort { // a VIP's packet in a broadcast or multicast frame reached every host: only its owner's MAC counts
		return w.drop(ReasonNotForUs)
	}
	if s.standby {
		return w.drop(ReasonStandby)
	}
	if ip.Fragment() {
		return w.drop(ReasonFragment)
	}
	switch ip.Protocol() {
	case frame.ProtocolICMP:
		return w.inspectICMP(ip, i)
	case frame.ProtocolTCP, frame.ProtocolUDP:
		if !transportFits(ip) {
			return w.drop(ReasonTooShort)
		}
		return w.drop(ReasonNoService)
	}
	return w.drop(ReasonProtocol)
}

// inspectICMP decides ICMP to a VIP: the management answers echo requests.
func (w *Worker) inspectICMP(ip *frame.IPv4, i int) Verdict {
	if ip.TotalLen()-ip.HeaderLen() < frame.ICMPLen {
		return w.drop(ReasonTooShort)
	}
	if frame.ICMPAt(w.burst.Frames[i], ip.L4()).Type() != frame.ICMPEchoRequest {
		return w.drop(ReasonICMP)
	}
	return w.punt(PuntEcho, i)
}

func (w *Worker) puntIP(s *Snapshot, ip *frame.IPv4, i int) Verdict {
	if ip.Destination() != s.dip {
		return w.punt(PuntOther, i)
	}
	if s.isReal(frame.EthernetAt(w.burst.Frames[i]).Source()) {
		return w.punt(PuntReply, i)
	}
	return w.punt(PuntDIP, i)
}

func (w *Worker) puntOther(etherType uint16, i int) Verdict {
	if etherType == frame.EtherTypeARP {
		return w.punt(PuntARP, i)
	}
	return w.punt(PuntOther, i)
}

// choose is stage 2: it finds or makes the flow of every pending packet, and with it the real server.
func (w *Worker) choose(s *Snapshot) {
	w.flows.PrefetchSecondary(w.hashes[:w.pending])
	for i := range w.pending {
		p := &w.pend[i&(BurstSize-1)]
		hash := w.hashes[i&(BurstSize-1)]
		svc := &s.services[p.key.Service]
		if f := w.flows.Lookup(hash, &p.key, w.now); f != nil {
			p.real = w.follow(s, svc, p, f)
		} else {
			p.real = w.schedule(s, svc, p, hash)
		}
	}
}

// follow keeps a known flow on its real server, and schedules it again where that one has gone, or where a SYN opens a
// new connection with the ports of an old one.
func (w *Worker) follow(s *Snapshot, svc *service, p *pending, f *flowtable.Flow) uint32 {
	at := svc.first + uint32(f.Slot)
	gone := uint32(f.Slot) >= svc.count || s.reals[at].state == RealGone
	reopened := f.State.Reusable() && p.flags&(frame.TCPSyn|frame.TCPRst) == frame.TCPSyn
	if gone || reopened {
		if at = w.reschedule(s, svc, p, f, reopened); at == noReal {
			return noReal
		}
	}
	if next := f.State.Next(p.flags); next != f.State {
		c := &w.reals[s.reals[at].counter&(MaxReals-1)]
		c.add(f.State, ^uint64(0))
		c.add(next, 1)
		f.State = next
	}
	if expiry := w.now + svc.timeouts[f.State&7]; expiry != f.Expiry {
		f.Expiry = expiry
	}
	return at
}

// reschedule gives a tracked flow another real server and moves its count there. A reopened one is a new connection.
func (w *Worker) reschedule(s *Snapshot, svc *service, p *pending, f *flowtable.Flow, reopened bool) uint32 {
	slot := svc.table.Pick(w.packetHash(s, svc, p), &w.cursors[p.key.Service])
	if slot == sched.None {
		return noReal
	}
	if counter, ok := s.counterOf(f); ok {
		w.reals[counter&(MaxReals-1)].add(f.State, ^uint64(0))
	}
	f.Slot = slot
	at := svc.first + uint32(slot)
	c := &w.reals[s.reals[at].counter&(MaxReals-1)]
	c.add(f.State, 1)
	if reopened {
		c.Connections++
		f.Start = w.seconds()
	} else {
		c.Rescheduled++
	}
	return at
}

// schedule picks the real server of a new flow and remembers it. Without an entry in the flow table the packet's hash
// alone decides, so that the flow's later packets find the same real server.
func (w *Worker) schedule(s *Snapshot, svc *service, p *pending, hash uint64) uint32 {
	packetHash := w.packetHash(s, svc, p)
	slot := svc.table.Pick(packetHash, &w.cursors[p.key.Service])
	if slot == sched.None {
		return noReal
	}
	state := firstState(p)
	f := w.remember(p, hash, state)
	if f == nil {
		return svc.first + uint32(svc.table.PickByHash(packetHash))
	}
	f.Slot, f.State, f.Start, f.Expiry = slot, state, w.seconds(), w.now+svc.timeouts[state&7]
	at := svc.first + uint32(slot)
	c := &w.reals[s.reals[at].counter&(MaxReals-1)]
	c.Connections++
	c.add(state, 1)
	return at
}

// firstState is the state of a flow that begins with this packet, as far as the director knows.
func firstState(p *pending) flowtable.State {
	if p.udp {
		return flowtable.UDP
	}
	return flowtable.None.Next(p.flags)
}

// remember makes an entry in the flow table. It is nil when there is no room, and for what closes a connection that is
// not known here: nothing will follow it.
func (w *Worker) remember(p *pending, hash uint64, state flowtable.State) *flowtable.Flow {
	if state == flowtable.Close {
		return nil
	}
	return w.flows.Insert(hash, &p.key, w.now)
}

// packetHash is the keyed hash that picks the real server: the same on every director with the same key.
func (w *Worker) packetHash(s *Snapshot, svc *service, p *pending) uint64 {
	mask := uint64(svc.hashMask)
	ports := uint64(p.key.ClientPort)&mask<<16 | uint64(p.key.VIPPort)&mask
	addresses := uint64(p.key.Client)<<32 | uint64(svc.vip)
	h := fold(addresses^s.maglevKey[0], ports^s.maglevKey[1])
	return fold(h^s.maglevKey[1], s.maglevKey[0])
}

// fold multiplies to 128 bits and folds the halves together.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// seconds is the flow table's clock for a flow's age.
func (w *Worker) seconds() uint16 { return uint16(w.now / flowtable.TicksPerSecond) }

// rewrite is stage 3: the frame's MACs become the real server's and the port's own. Nothing else in it changes.
func (w *Worker) rewrite(s *Snapshot) {
	b := w.burst
	for i := range w.pending {
		p := &w.pend[i&(BurstSize-1)]
		if p.real == noReal {
			w.drop(ReasonNoRealServer)
			continue
		}
		r := &s.reals[p.real]
		at := p.frame & (BurstSize - 1)
		m := (*macs)(b.Frames[at])
		if [6]byte(m[6:]) == [6]byte(r.macs[:6]) {
			w.drop(ReasonLoop)
			continue
		}
		*m = r.macs
		b.Verdicts[at] = Forward
		c := &w.reals[r.counter&(MaxReals-1)]
		c.Packets++
		c.Bytes += uint64(b.Lengths[at])
	}
}

// drop counts a frame that goes no further.
func (w *Worker) drop(r Reason) Verdict {
	w.counters.Drops[r]++
	return Drop
}

// punt hands a copy of a frame to the management.
func (w *Worker) punt(k PuntKind, i int) Verdict {
	if !w.limits.take(k) {
		return w.drop(ReasonPuntLimited)
	}
	b := w.burst
	if k >= PuntDIP && w.punts.Len() > w.punts.Cap()/puntReserve {
		return w.drop(ReasonPuntFull)
	}
	if !w.punts.Put(uint8(k), unsafe.Slice((*byte)(b.Frames[i]), b.Lengths[i])) {
		return w.drop(ReasonPuntFull)
	}
	w.counters.Punted[k]++
	return Punt
}

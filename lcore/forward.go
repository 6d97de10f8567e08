package lcore

import (
	"unsafe"

	"turnout/flowtable"
	"turnout/lcore/frame"
)

// pending is what the stages know of a frame that is a flow of a virtual service, beside its key and hash.
type pending struct {
	real  uint32 // index in the snapshot's reals, or why there is none; set by stage 2
	frame uint8  // index in the burst; set by stage 1
	flags uint8  // TCP flags, 0 for UDP; set by stage 1
}

// What stands for a real server where a packet has none.
const (
	noReal    = 1<<32 - 1 - iota // none can take the flow
	downReal                     // the flow's own is down
	strayReal                    // the flow is not known, and may not begin with this packet

	someReal = strayReal - 1 // the largest index
)

// forward decides a burst in three stages, each over all its frames, so that the cache misses of one frame overlap with
// those of the others.
func (w *Worker) forward(s *Snapshot) {
	w.limits.refill(w.now)
	w.inspect(s)
	w.choose(s)
	capture := w.capture.Load()
	if capture != nil {
		capture.before(w)
	}
	w.rewrite(s)
	if capture != nil {
		capture.after(w, s)
	}
	if w.box.noted > 0 {
		w.record(s)
	}
}

// inspect is stage 1: it decides by the headers alone, or notes the frame as a pending flow of a virtual service and
// brings its bucket of the flow table towards the CPU. Nearly all frames are plain ones to the port for a service, from
// senders that nobody suspects: they are recognised here, all others in inspectFrame.
func (w *Worker) inspect(s *Snapshot) {
	b, flows := w.burst, w.flows
	count := min(int(b.Count), BurstSize)
	n, received := 0, uint64(0)
	for i := range count {
		f, length := b.Frames[i], b.Lengths[i]
		received += uint64(length)
		b.Verdicts[i] = Drop // unless a later stage forwards it
		id, ok := uint32(0), false
		ip := frame.IPv4At(f)
		if frame.Plain(f, length) && transportFits(ip) && frame.DestinationWord(f) == s.portWord && !s.suspects.has(frame.SourceWord(f)) {
			ports := frame.PortsAt(f, frame.EthernetLen+frame.IPv4Len)
			id, ok = s.byTuple.find(tupleKey(ip.Destination(), ip.Protocol(), ports.Destination()))
		}
		if !ok {
			if b.Verdicts[i], id, ok = w.inspectFrame(s, i); !ok {
				continue
			}
		}
		l4 := ip.L4()
		ports := frame.PortsAt(f, l4).Both()
		p, key := &w.pend[n&(BurstSize-1)], &w.keys[n&(BurstSize-1)]
		p.frame, p.flags = uint8(i), 0
		if ip.Protocol() == frame.ProtocolTCP {
			p.flags = frame.TCPAt(f, l4).Flags()
		}
		key.VIPPort, key.ClientPort, key.Client, key.Service = uint16(ports), uint16(ports>>16), ip.Source(), uint16(id)
		w.hashes[n&(BurstSize-1)] = flows.Hash(key)
		n++
	}
	w.pending = n
	w.counters.RxPackets += uint64(count)
	w.counters.RxBytes += received
	flows.Prefetch(w.hashes[:n&(2*BurstSize-1)])
}

// inspectFrame decides one frame, the first refusal wins, or tells the service it is for.
func (w *Worker) inspectFrame(s *Snapshot, i int) (v Verdict, id uint32, ok bool) {
	f, length := w.burst.Frames[i], w.burst.Lengths[i]
	if length < frame.EthernetLen {
		return w.drop(ReasonTooShort, i), 0, false
	}
	eth := frame.EthernetAt(f)
	if eth.Source() == s.portMAC {
		return w.drop(ReasonLoop, i), 0, false
	}
	toPort := eth.Destination() == s.portMAC
	if !toPort && !eth.Destination().Group() {
		return w.drop(ReasonNotForUs, i), 0, false
	}
	if eth.Type() != frame.EtherTypeIPv4 {
		return w.puntOther(eth.Type(), i), 0, false
	}
	if fault := frame.CheckIPv4(f, length); fault != frame.FaultNone {
		return w.drop(faultReasons[fault], i), 0, false
	}
	ip := frame.IPv4At(f)
	if !toPort || ip.Fragment() || !transportFits(ip) {
		return w.inspectRest(s, toPort, i), 0, false
	}
	ports := frame.PortsAt(f, ip.L4())
	if id, ok = s.find(ip.Destination(), ip.Protocol(), ports.Destination()); !ok {
		return w.inspectRest(s, toPort, i), 0, false
	}
	if s.forbidden(eth.Source(), s.services[id].vipIndex) {
		return w.drop(ReasonLoop, i), 0, false
	}
	return Drop, id, true
}

// faultReasons tells the reason to drop a packet whose header has a fault.
var faultReasons = [...]Reason{
	frame.FaultShort: ReasonTooShort, frame.FaultVersion: ReasonBadVersion, frame.FaultHeader: ReasonBadHeader,
	frame.FaultLength: ReasonBadLength,
}

// transportFits says whether the packet holds a whole TCP or UDP header without options.
func transportFits(ip *frame.IPv4) bool {
	switch ip.Protocol() {
	case frame.ProtocolTCP:
		return ip.TotalLen() >= ip.HeaderLen()+frame.TCPLen
	case frame.ProtocolUDP:
		return ip.TotalLen() >= ip.HeaderLen()+frame.UDPLen
	}
	return false
}

// inspectRest decides an IPv4 packet that is not a flow of a virtual service.
func (w *Worker) inspectRest(s *Snapshot, toPort bool, i int) Verdict {
	f := w.burst.Frames[i]
	ip := frame.IPv4At(f)
	if !s.isVIP(ip.Destination()) {
		return w.puntIP(s, ip, i)
	}
	if !toPort { // a VIP's packet in a broadcast or multicast frame reached every host: only its owner's MAC counts
		return w.drop(ReasonNotForUs, i)
	}
	if s.standby {
		return w.drop(ReasonStandby, i)
	}
	if ip.Fragment() {
		return w.drop(ReasonFragment, i)
	}
	switch ip.Protocol() {
	case frame.ProtocolICMP:
		return w.inspectICMP(s, ip, i)
	case frame.ProtocolTCP, frame.ProtocolUDP:
		if !transportFits(ip) {
			return w.drop(ReasonTooShort, i)
		}
		return w.drop(ReasonNoService, i)
	}
	return w.drop(ReasonProtocol, i)
}

// inspectICMP decides ICMP to a VIP: the management answers echo requests, and asks real servers for echo replies.
func (w *Worker) inspectICMP(s *Snapshot, ip *frame.IPv4, i int) Verdict {
	if ip.TotalLen()-ip.HeaderLen() < frame.ICMPLen {
		return w.drop(ReasonTooShort, i)
	}
	f := w.burst.Frames[i]
	switch frame.ICMPAt(f, ip.L4()).Type() {
	case frame.ICMPEchoRequest:
		return w.punt(PuntEcho, i)
	case frame.ICMPEchoReply:
		if s.isReal(frame.EthernetAt(f).Source()) {
			return w.punt(PuntReply, i)
		}
	}
	return w.drop(ReasonICMP, i)
}

func (w *Worker) puntIP(s *Snapshot, ip *frame.IPv4, i int) Verdict {
	if ip.Protocol() == frame.ProtocolVRRP {
		return w.punt(PuntVRRP, i)
	}
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

// choose is stage 2: it finds or makes the flow of every pending packet, and with it the real server. A flow that was
// found may be moved by the making of another, so after the first new one they are looked up again.
func (w *Worker) choose(s *Snapshot) {
	n := w.pending & (2*BurstSize - 1)
	w.flows.PrefetchSecondary(w.hashes[:n])
	w.flows.LookupBurst(w.hashes[:n], w.keys[:n], w.now, w.found[:n])
	known := true
	for i := range n {
		p, key, f := &w.pend[i], &w.keys[i], w.found[i]
		svc := &s.services[key.Service]
		if !known {
			f = w.flows.Lookup(w.hashes[i], key, w.now)
		}
		switch {
		case f == nil:
			known = false
			p.real = w.schedule(s, svc, i)
		case !w.steady(s, svc, p, f):
			p.real = w.follow(s, svc, i, f)
		}
	}
}

// steady keeps a flow on its real server where nothing changes but the time, as for most packets; otherwise it does
// nothing and answers false.
func (w *Worker) steady(s *Snapshot, svc *service, p *pending, f *flowtable.Flow) bool {
	at := svc.first + uint32(f.Slot)
	if uint32(f.Slot) >= svc.count || s.reals[at].state <= RealDown || !f.State.Steady(p.flags) {
		return false
	}
	f.Expiry = w.now + svc.timeouts[f.State&7]
	p.real = at
	return true
}

// follow keeps a known flow on its real server, and schedules it again where that one has gone, or where a SYN opens a
// new connection with the ports of an old one. One whose real server is down gets no more time.
func (w *Worker) follow(s *Snapshot, svc *service, i int, f *flowtable.Flow) uint32 {
	p := &w.pend[i&(BurstSize-1)]
	at, state := svc.first+uint32(f.Slot), RealGone
	if uint32(f.Slot) < svc.count {
		state = s.reals[at].state
	}
	reopened := reopens(f, p.flags)
	switch {
	case state == RealGone || reopened:
		if at = w.reschedule(s, svc, i, f, reopened); at == noReal {
			return noReal
		}
	case state == RealDown:
		return downReal
	}
	if !f.State.Steady(p.flags) {
		w.advance(s.reals[at].counter&(MaxReals-1), f, p.flags)
	}
	f.Expiry = w.now + svc.timeouts[f.State&7]
	return at
}

// reopens says whether a packet with these TCP flags opens a new connection with the ports of a flow that is closed.
func reopens(f *flowtable.Flow, flags uint8) bool {
	return f.State.Reusable() && opens(flags)
}

// rewrite is stage 3: the frame's MACs become the real server's and the port's own. Nothing else in it changes.
func (w *Worker) rewrite(s *Snapshot) {
	b := w.burst
	pend := w.pend[:w.pending&(2*BurstSize-1)]
	forwarded, bytes := uint32(0), uint64(0)
	for i := range pend {
		p := &pend[i]
		at := p.frame & (BurstSize - 1)
		if p.real > someReal {
			b.Verdicts[at] = w.refuse(s, i)
			continue
		}
		r := &s.reals[p.real]
		f := b.Frames[at]
		if frame.SourceWord(f) == r.word {
			w.drop(ReasonLoop, int(at))
			continue
		}
		*(*macs)(f) = r.macs
		b.Verdicts[at] = Forward
		length := uint64(b.Lengths[at])
		forwarded, bytes = forwarded+1, bytes+length
		c := &w.reals[r.counter&(MaxReals-1)]
		c.Packets++
		c.Bytes += length
	}
	b.Forwarded, b.ForwardedBytes = forwarded, bytes
}

// refuse decides a packet that has no real server.
func (w *Worker) refuse(s *Snapshot, i int) Verdict {
	p, key := &w.pend[i&(BurstSize-1)], &w.keys[i&(BurstSize-1)]
	at := int(p.frame & (BurstSize - 1))
	switch p.real {
	case downReal:
		return w.drop(ReasonRealServerDown, at)
	case strayReal:
		return w.drop(ReasonNoFlow, at)
	}
	if s.services[key.Service].manners.has(isUnreachable) && w.limits.take(PuntUnreachable) {
		return w.handUp(PuntUnreachable, at)
	}
	return w.drop(ReasonNoRealServer, at)
}

// drop counts a frame that goes no further, and notes some for the black box.
func (w *Worker) drop(r Reason, i int) Verdict {
	w.counters.Drops[r]++
	if w.box.tokens[r] > 0 {
		w.box.note(r, i)
	}
	return Drop
}

// punt hands a frame to the management while its kind is under its limit.
func (w *Worker) punt(k PuntKind, i int) Verdict {
	if !w.limits.take(k) {
		return w.dropPunt(ReasonPuntLimited, k, i)
	}
	return w.handUp(k, i)
}

// handUp gives the management a copy of a frame.
func (w *Worker) handUp(k PuntKind, i int) Verdict {
	b := w.burst
	if k >= PuntDIP && w.punts.Len() > w.punts.Cap()/puntReserve {
		return w.dropPunt(ReasonPuntFull, k, i)
	}
	if !w.punts.Put(uint8(k), unsafe.Slice((*byte)(b.Frames[i]), b.Lengths[i])) {
		return w.dropPunt(ReasonPuntFull, k, i)
	}
	w.counters.Punted[k]++
	return Punt
}

// dropPunt drops a frame that was to be punted as kind k.
func (w *Worker) dropPunt(r Reason, k PuntKind, i int) Verdict {
	w.box.kinds[i&(BurstSize-1)] = k
	return w.drop(r, i)
}

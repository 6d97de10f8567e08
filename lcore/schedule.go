package lcore

import (
	"math/bits"

	"turnout/flowtable"
	"turnout/lcore/frame"
	"turnout/sched"
)

// A choice is the scheduler's, or that of the client's persistence template.
type choice struct {
	table *sched.Table
	hash  uint64 // of the packet
	old   uint16 // slot that the client's template names, or flowtable.NoSlot
	slot  uint16 // slot chosen, or sched.None
}

// pick chooses the real server of a flow that has none. Of a connection that is under way already the hash decides, whatever
// the scheduler: its packets before were not remembered, or went by another director.
func (w *Worker) pick(s *Snapshot, svc *service, key *flowtable.Key, underWay bool) choice {
	c := choice{table: svc.table(), hash: packetHash(s, svc, key), old: w.template(svc, key)}
	switch c.slot = c.old; {
	case s.takes(svc, c.old):
	case underWay:
		c.slot = c.table.PickByHash(c.hash)
	default:
		c.slot = c.table.Pick(c.hash, &w.cursors[key.Service])
	}
	return c
}

// untracked is the choice for a packet of a flow that is not remembered, the same for all of its packets.
func (c *choice) untracked() uint16 {
	if c.slot == c.old {
		return c.old
	}
	return c.table.PickByHash(c.hash)
}

// reschedule gives a tracked flow another real server and moves its count there. A reopened one is a new connection.
func (w *Worker) reschedule(s *Snapshot, svc *service, i int, f *flowtable.Flow, reopened bool) uint32 {
	choice := w.pick(s, svc, &w.keys[i&(BurstSize-1)], false)
	if choice.slot == sched.None {
		return noReal
	}
	w.leave(s, f)
	w.join(s, svc, f, &choice)
	at := svc.first + uint32(f.Slot)
	c := &w.reals[s.reals[at].counter&(MaxReals-1)]
	if reopened {
		c.Connections++
	} else {
		c.Rescheduled++
	}
	return at
}

// schedule picks the real server of a new flow and remembers it. Without an entry in the flow table what is the same for
// all of its packets decides, so that they find the same real server.
func (w *Worker) schedule(s *Snapshot, svc *service, i int) uint32 {
	key, p := &w.keys[i&(BurstSize-1)], &w.pend[i&(BurstSize-1)]
	underWay := !svc.manners.has(isUDP) && !opens(p.flags)
	if underWay && svc.manners.has(isStrict) {
		return strayReal
	}
	choice := w.pick(s, svc, key, underWay)
	if choice.slot == sched.None {
		return noReal
	}
	if svc.manners.has(isOnePacket) {
		return w.serve(s, svc, choice.slot)
	}
	state := firstState(svc, p)
	var f *flowtable.Flow
	if state != flowtable.Close { // nothing follows what closes a connection that is not known here
		f = w.flows.Insert(w.hashes[i&(BurstSize-1)], key, w.now)
	}
	if f == nil {
		return svc.first + uint32(choice.untracked())
	}
	f.State, f.Start, f.Expiry = state, seconds(w.now), w.now+svc.timeouts[state&7]
	w.join(s, svc, f, &choice)
	return w.serve(s, svc, f.Slot)
}

// serve counts a new connection of the real server of a slot.
func (w *Worker) serve(s *Snapshot, svc *service, slot uint16) uint32 {
	at := svc.first + uint32(slot)
	w.reals[s.reals[at].counter&(MaxReals-1)].Connections++
	return at
}

// opens says whether TCP flags are those of a connection's first packet.
func opens(flags uint8) bool { return flags&(frame.TCPSyn|frame.TCPRst) == frame.TCPSyn }

// join puts a flow on the real server chosen, and counts it there.
func (w *Worker) join(s *Snapshot, svc *service, f *flowtable.Flow, c *choice) {
	f.Slot = c.slot
	if w.persists(svc) {
		w.pin(s, svc, f, c)
	}
	counter := &w.reals[s.reals[svc.first+uint32(f.Slot)].counter&(MaxReals-1)]
	counter.add(f.State, 1)
	if f.State == flowtable.SynReceived {
		w.begin(counter, f)
	}
}

// leave takes a flow off its real server's counts, and off its client's template.
func (w *Worker) leave(s *Snapshot, f *flowtable.Flow) {
	if counter, ok := s.counterOf(f); ok {
		c := &w.reals[counter&(MaxReals-1)]
		c.add(f.State, ^uint64(0))
		if f.State == flowtable.SynReceived {
			c.Unanswered++
			w.settle(f)
			f.State = flowtable.SynSettled
		}
	}
	if f.Pinned != 0 {
		w.unpin(s, f)
	}
}

// firstState is the state of a flow that begins with this packet, as far as the director knows.
func firstState(svc *service, p *pending) flowtable.State {
	if svc.manners.has(isUDP) {
		return flowtable.UDP
	}
	return flowtable.None.Next(p.flags)
}

// packetHash is the keyed hash that picks the real server: the same on every director with the same key.
func packetHash(s *Snapshot, svc *service, key *flowtable.Key) uint64 {
	ports := uint64(key.ClientPort&svc.portMask)<<16 | uint64(key.VIPPort&svc.portMask)
	client := key.Client & (^uint32(0) << (addressBits - svc.hashed))
	addresses := uint64(client)<<32 | uint64(svc.vip)
	h := fold(addresses^s.maglevKey[0], ports^s.maglevKey[1])
	return fold(h^s.maglevKey[1], s.maglevKey[0])
}

// fold multiplies to 128 bits and folds the halves together.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

package lcore

import (
	"math/bits"

	"turnout/flowtable"
	"turnout/sched"
)

// reschedule gives a tracked flow another real server and moves its count there. A reopened one is a new connection.
func (w *Worker) reschedule(s *Snapshot, svc *service, i int, f *flowtable.Flow, reopened bool) uint32 {
	key := &w.keys[i&(BurstSize-1)]
	slot := svc.table().Pick(packetHash(s, svc, key), &w.cursors[key.Service])
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
func (w *Worker) schedule(s *Snapshot, svc *service, i int) uint32 {
	key, p := &w.keys[i&(BurstSize-1)], &w.pend[i&(BurstSize-1)]
	hash := packetHash(s, svc, key)
	table := svc.table()
	slot := table.Pick(hash, &w.cursors[key.Service])
	if slot == sched.None {
		return noReal
	}
	state := firstState(svc, p)
	var f *flowtable.Flow
	if state != flowtable.Close { // nothing follows what closes a connection that is not known here
		f = w.flows.Insert(w.hashes[i&(BurstSize-1)], key, w.now)
	}
	if f == nil {
		return svc.first + uint32(table.PickByHash(hash))
	}
	f.Slot, f.State, f.Start, f.Expiry = slot, state, w.seconds(), w.now+svc.timeouts[state&7]
	at := svc.first + uint32(slot)
	c := &w.reals[s.reals[at].counter&(MaxReals-1)]
	c.Connections++
	c.add(state, 1)
	return at
}

// firstState is the state of a flow that begins with this packet, as far as the director knows.
func firstState(svc *service, p *pending) flowtable.State {
	if svc.udp {
		return flowtable.UDP
	}
	return flowtable.None.Next(p.flags)
}

// packetHash is the keyed hash that picks the real server: the same on every director with the same key.
func packetHash(s *Snapshot, svc *service, key *flowtable.Key) uint64 {
	ports := uint64(key.ClientPort&svc.portMask)<<16 | uint64(key.VIPPort&svc.portMask)
	addresses := uint64(key.Client&svc.clientMask)<<32 | uint64(svc.vip)
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

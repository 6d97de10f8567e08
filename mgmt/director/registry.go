package director

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/mgmt/store"
)

// registry hands out the numbers by which the lcores know things: service ids, slots of real servers within a service,
// and indexes of counters. A number that was given back is handed out again only when no lcore holds a flow under it.
type registry struct {
	services  map[serviceKey]*identity
	templates *flowtable.Templates // nil: there are none
	ids       numbers
	counters  numbers
	retired   map[realKey]totals // counts under numbers given back
	now       func() time.Time
}

// removalGrace is how long a real server that was removed from a service keeps its flows, so that requests under way are
// answered. Those that last longer are then scheduled again.
const removalGrace = 5 * time.Second

// serviceKey is what makes a service the same to its flows.
type serviceKey struct {
	name     string
	vip      netip.Addr
	protocol store.Protocol
	port     uint16
}

// realKey names a real server of a service; the zero address stands for all of them.
type realKey struct {
	service string
	address netip.Addr
}

// identity is a service as the lcores know it.
type identity struct {
	key       serviceKey
	id        uint16
	born      uint64 // epoch of the first snapshot that has it
	withdrawn bool
	since     uint64 // epoch of the first snapshot that has it so
	slots     []slot
	slotOf    map[netip.Addr]uint16
	quorate   bool // the quorum was there when it was last looked for
}

// slot is a real server's place in its service.
type slot struct {
	address netip.Addr // zero: the slot is free
	counter uint32
	born    uint64 // epoch of the first snapshot that has it
	gone    bool
	since   uint64    // epoch of the first snapshot in which it is gone: no flow was scheduled there later
	until   time.Time // until when it keeps its flows though it is gone; zero: no longer
	live    liveness  // as it was last seen
	empty   bool      // no flow was counted when it was last looked at
	weight  uint16    // the last one above 0, or 1
	base    totals    // what its counter showed when the slot was taken

	upSince    time.Time // when it last began to get new flows
	load       load      // as it was last looked at
	overloaded bool      // it has reached its upper threshold
	outlier    outlier
}

// maxSlots is one less than the slots that 16 bits can name: the last stands for none.
const maxSlots = 1<<16 - 1

var errTooMany = errors.New("no more numbers for services or real servers: wait until the flows of removed ones have ended, or restart")

func newRegistry(templates *flowtable.Templates) *registry {
	return &registry{
		services: map[serviceKey]*identity{}, templates: templates, retired: map[realKey]totals{}, now: time.Now,
		ids: numbers{limit: 1 << 16}, counters: numbers{limit: lcore.MaxReals},
	}
}

func keyOf(s *store.Service) serviceKey { return serviceKey{s.Name, s.VIP, s.Protocol, s.Port} }

// members lists who may get flows of a service: its real servers and its sorry server.
func members(svc *store.Service) []store.RealServer {
	if sorry := svc.SorryServer; sorry.Address.IsValid() {
		return append(slices.Clone(svc.RealServers), store.RealServer{Address: sorry.Address, MAC: sorry.MAC, Weight: 1})
	}
	return svc.RealServers
}

// room says whether there are numbers for all that the state has and the registry does not know yet.
func (r *registry) room(state *store.State) error {
	services, servers := 0, 0
	for i := range state.Services {
		svc := &state.Services[i]
		id := r.services[keyOf(svc)]
		if id == nil {
			id, services = &identity{}, services+1
		}
		fresh := 0
		for _, rs := range members(svc) {
			if _, known := id.slotOf[rs.Address]; !known {
				fresh++
			}
		}
		if len(id.slotOf)+fresh > maxSlots {
			return fmt.Errorf("service %s: %w", svc.Name, errTooMany)
		}
		servers += fresh
	}
	if services > r.ids.left() || servers > r.counters.left() {
		return errTooMany
	}
	return nil
}

// update gives everything in the state, for which there is room, its numbers and marks all else as gone from the snapshot
// of that epoch on. read sums a counter over the lcores.
func (r *registry) update(state *store.State, epoch uint64, read func(uint32) reading) {
	configured := map[serviceKey]bool{}
	for i := range state.Services {
		svc := &state.Services[i]
		configured[keyOf(svc)] = true
		id := r.identify(keyOf(svc), epoch)
		id.withdrawn = false
		r.updateSlots(id, members(svc), epoch, read)
	}
	for key, id := range r.services {
		if !configured[key] && !id.withdrawn {
			id.withdrawn, id.since = true, epoch
			id.abandon(nil, epoch, time.Time{})
		}
	}
}

// identify finds or makes the identity of a service.
func (r *registry) identify(key serviceKey, epoch uint64) *identity {
	if id := r.services[key]; id != nil {
		return id
	}
	id := &identity{key: key, id: uint16(r.ids.take()), born: epoch, slotOf: map[netip.Addr]uint16{}}
	r.services[key] = id
	return id
}

func (r *registry) updateSlots(id *identity, servers []store.RealServer, epoch uint64, read func(uint32) reading) {
	configured := make(map[netip.Addr]bool, len(servers))
	for _, rs := range servers {
		configured[rs.Address] = true
		s := r.place(id, rs.Address, epoch, read)
		s.gone, s.until, s.empty = false, time.Time{}, false
		if rs.Weight > 0 {
			s.weight = rs.Weight
		}
	}
	id.abandon(configured, epoch, r.now().Add(removalGrace))
}

// place finds or makes the slot of a real server.
func (r *registry) place(id *identity, address netip.Addr, epoch uint64, read func(uint32) reading) *slot {
	if n, ok := id.slotOf[address]; ok {
		return &id.slots[n]
	}
	counter, n := r.counters.take(), id.freeSlot()
	id.slotOf[address] = n
	id.slots[n] = slot{address: address, counter: counter, born: epoch, weight: 1, base: totalsOf(read(counter))}
	return &id.slots[n]
}

func (id *identity) freeSlot() uint16 {
	if len(id.slotOf) < len(id.slots) {
		return uint16(slices.IndexFunc(id.slots, func(s slot) bool { return !s.address.IsValid() }))
	}
	id.slots = append(id.slots, slot{})
	return uint16(len(id.slots) - 1)
}

// abandon marks the slots of all but the configured real servers as gone; they keep their flows until then.
func (id *identity) abandon(configured map[netip.Addr]bool, epoch uint64, until time.Time) {
	for n := range id.slots {
		s := &id.slots[n]
		if !s.address.IsValid() || configured[s.address] {
			continue
		}
		if !s.gone {
			s.gone, s.since, s.until = true, epoch, until
		}
		if id.withdrawn {
			s.until = time.Time{}
		}
	}
}

// reap takes numbers back whose flows have ended on every lcore; seen is the oldest epoch that some lcore still looks at.
// It returns the names of the services of which it took any.
func (r *registry) reap(seen uint64, read func(uint32) reading) (names map[string]bool) {
	names = map[string]bool{}
	for key, id := range r.services {
		for n := range id.slots {
			s := &id.slots[n]
			if s.gone && s.since <= seen && r.retire(id, uint16(n), read(s.counter)) || s.overdue(r.now()) {
				names[key.name] = true
			}
		}
		if id.withdrawn && id.since <= seen && len(id.slotOf) == 0 {
			r.ids.give(uint32(id.id))
			delete(r.services, key)
			names[key.name] = true
		}
	}
	return names
}

// overdue tells, once, that a slot's flows have been kept long enough.
func (s *slot) overdue(now time.Time) bool {
	if s.until.IsZero() || now.Before(s.until) {
		return false
	}
	s.until = time.Time{}
	return true
}

// retire frees a slot that no flow is counted under, twice in a row: a flow may change from inactive to active between
// the two being read.
func (r *registry) retire(id *identity, n uint16, now reading) bool {
	s := &id.slots[n]
	before := s.empty
	s.empty = now.Active+now.Inactive == 0
	if !before || !s.empty {
		return false
	}
	counted := totalsOf(now).minus(s.base)
	for _, key := range []realKey{{id.key.name, s.address}, {id.key.name, netip.Addr{}}} {
		r.retired[key] = r.retired[key].plus(counted)
	}
	if r.templates != nil {
		r.templates.Forget(id.id, n)
	}
	r.counters.give(s.counter)
	delete(id.slotOf, s.address)
	*s = slot{}
	return true
}

// numbers hands out small numbers and takes them back.
type numbers struct {
	free  []uint32
	next  uint32
	limit uint32
}

// left is how many can be taken.
func (n *numbers) left() int { return len(n.free) + int(n.limit-n.next) }

// take hands out a number; there must be one left.
func (n *numbers) take() uint32 {
	if last := len(n.free) - 1; last >= 0 {
		number := n.free[last]
		n.free = n.free[:last]
		return number
	}
	n.next++
	return n.next - 1
}

func (n *numbers) give(number uint32) { n.free = append(n.free, number) }

package director

import (
	"net/netip"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/store"
)

// view is what is in force, for readers. It is immutable and published whole.
type view struct {
	generation uint64
	failed     bool
	role       api.Role
	services   []*serviceView // in the order of the configuration
	flows      map[uint16]*flowNames
	retired    map[realKey]totals
	gone       map[string][]goneView // by service name
}

// serviceView is a configured service.
type serviceView struct {
	store.Service
	reals   []realView // in the order of the configuration
	sorry   *realView  // nil: there is none
	weight  uint64     // of the real servers that are up
	quorate bool       // it is enough
}

// realView is a real server of a service and where it is counted.
type realView struct {
	store.RealServer
	live         liveness
	upSince      time.Time // when it last began to get new flows
	overloaded   bool
	ejectedUntil time.Time // if its state is ejected
	counter      uint32
	base         totals
}

// goneView is a slot that is no longer configured and may still have flows. Its real server may have another slot.
type goneView struct {
	address netip.Addr
	counter uint32
	base    totals
}

// flowNames tells what the numbers in a flow's entry stand for.
type flowNames struct {
	key       serviceKey
	born      uint64 // epoch of the first snapshot in which the number is the service's
	slots     []netip.Addr
	slotsBorn []uint64 // likewise of the slots
}

// publishView gives the readers what is in force now.
func (d *Director) publishView() {
	v := &view{
		generation: d.generation, failed: d.failed, role: d.role(),
		flows: make(map[uint16]*flowNames, len(d.registry.services)), retired: map[realKey]totals{}, gone: map[string][]goneView{},
	}
	for i := range d.desired.Services {
		v.services = append(v.services, d.compiled[keyOf(&d.desired.Services[i])].view)
	}
	for key, counted := range d.registry.retired {
		v.retired[key] = counted
	}
	for key, id := range d.registry.services {
		v.addIdentity(key, id)
	}
	d.view.Store(v)
}

func (v *view) addIdentity(key serviceKey, id *identity) {
	names := &flowNames{key: key, born: id.born, slots: make([]netip.Addr, len(id.slots)), slotsBorn: make([]uint64, len(id.slots))}
	for n := range id.slots {
		s := &id.slots[n]
		names.slots[n], names.slotsBorn[n] = s.address, s.born
		if s.gone {
			v.gone[key.name] = append(v.gone[key.name], goneView{s.address, s.counter, s.base})
		}
	}
	v.flows[id.id] = names
}

// real is the address of the real server that has a slot, if the numbers are known.
func (n *flowNames) real(slot uint16) netip.Addr {
	if n == nil || int(slot) >= len(n.slots) {
		return netip.Addr{}
	}
	return n.slots[slot]
}

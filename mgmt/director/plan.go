package director

import (
	"cmp"
	"context"
	"math/bits"
	"net/netip"
	"reflect"
	"slices"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/mgmt/api"
	"turnout/mgmt/store"
	"turnout/sched"
)

// planned is what a change of the state does, as far as it can be told beforehand. It is noted by the owner of the state
// and worked out by who asked: plans of large tables and walks over flow tables take their time.
type planned struct {
	tables    []tableChange
	removed   map[serviceKey]map[netip.Addr]bool // real servers that flows lose; nil: all, as the service goes
	announced []netip.Addr
	withdrawn []netip.Addr
}

// tableChange is a service whose table may become another one.
type tableChange struct {
	service       string
	scheduler     *sched.Scheduler
	options       sched.Options
	plan          *sched.Plan // before the change
	before, after []sched.Server
}

// planned notes what it takes to tell what a valid state would change.
func (d *Director) planned(next *store.State) *planned {
	p := &planned{removed: map[serviceKey]map[netip.Addr]bool{}}
	after := make(map[serviceKey]*store.Service, len(next.Services))
	for i := range next.Services {
		after[keyOf(&next.Services[i])] = &next.Services[i]
	}
	for i := range d.desired.Services {
		old := &d.desired.Services[i]
		key := keyOf(old)
		svc := after[key]
		switch {
		case svc == nil:
			p.removed[key] = nil
		case !reflect.DeepEqual(old, svc):
			p.note(d.compiled[key], key, svc)
		}
	}
	if !d.standby {
		before, now := vipsOf(&d.desired), vipsOf(next)
		p.announced, p.withdrawn = without(now, before), without(before, now)
	}
	return p
}

// note adds a service that is changed.
func (p *planned) note(c *compiled, key serviceKey, svc *store.Service) {
	stays := map[netip.Addr]bool{}
	for _, rs := range members(svc) {
		stays[rs.Address] = true
	}
	for _, rs := range members(c.service) {
		if !stays[rs.Address] {
			if p.removed[key] == nil {
				p.removed[key] = map[netip.Addr]bool{}
			}
			p.removed[key][rs.Address] = true
		}
	}
	scheduler, err := sched.Lookup(svc.Scheduler)
	if err != nil || c.plan == nil {
		return
	}
	p.tables = append(p.tables, tableChange{
		service: svc.Name, scheduler: scheduler, options: sched.Options{TableSize: svc.Maglev.TableSize}, plan: c.plan,
		before: settled(c.made.servers), after: c.serversAfter(svc),
	})
}

// settled is how a table's servers stand once their slow start is over.
func settled(servers []sched.Server) []sched.Server {
	servers = slices.Clone(servers)
	for i := range servers {
		servers[i].Share = sched.FullShare
	}
	return servers
}

// serversAfter are the real servers of the service as it would be. One that is new is taken for alive, and gets a slot
// that no other one has.
func (c *compiled) serversAfter(svc *store.Service) []sched.Server {
	servers, fresh := make([]sched.Server, 0, len(svc.RealServers)), sched.None
	for _, rs := range svc.RealServers {
		server := sched.Server{ID: rs.Address.String(), Weight: uint32(rs.Weight), Usable: true, Share: sched.FullShare}
		n, known := c.id.slotOf[rs.Address]
		if known {
			s := &c.id.slots[n]
			server.Slot, server.Usable = n, s.live.real == lcore.RealUp && !s.overloaded || s.gone
		} else {
			fresh--
			server.Slot = fresh
		}
		if rs.Weight == 0 {
			server.Usable = false
			if known {
				server.Weight = uint32(c.id.slots[n].weight)
			}
		}
		servers = append(servers, server)
	}
	return servers
}

// without lists what is in a and not in b.
func without(a, b []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(a), func(address netip.Addr) bool { return slices.Contains(b, address) })
}

// tell fills in what the change does to scheduling tables and VIPs.
func (p *planned) tell(a *api.Applied) {
	a.Announced, a.Withdrawn = p.announced, p.withdrawn
	for i := range p.tables {
		if moved, ok := p.tables[i].moved(); ok {
			a.Slots = append(a.Slots, moved)
		}
	}
}

// moved compares hash tables before and after, position by position of the latter; ok is false where none moves.
func (t *tableChange) moved() (m api.MovedSlots, ok bool) {
	plan := t.plan
	if !plan.Fits(t.scheduler, t.after, t.options) {
		var err error
		if plan, err = t.scheduler.Plan(t.after, t.options); err != nil {
			return m, false
		}
	}
	before, after := t.plan.Table(t.before, 0), plan.Table(t.after, 0)
	if before.BySequence() || after.BySequence() || after.Len() == 0 {
		return m, false
	}
	m = api.MovedSlots{Service: t.service, Slots: after.Len()}
	for at := range m.Slots {
		if hash := hashAt(at, m.Slots); before.PickByHash(hash) != after.PickByHash(hash) {
			m.Moved++
		}
	}
	m.Percent = 100 * float64(m.Moved) / float64(m.Slots)
	return m, m.Moved > 0
}

// hashAt is a hash that falls on a position of a table of that size: the middle of those that do.
func hashAt(position, size int) uint64 {
	hash, _ := bits.Div64(uint64(position), 1<<63, uint64(size))
	return hash
}

// tellFlows counts the live flows that the change touches. The lcores go on forwarding meanwhile.
func (p *planned) tellFlows(ctx context.Context, d *Director, a *api.Applied) error {
	if len(p.removed) == 0 {
		return nil
	}
	touched := map[serviceKey]*api.MovedFlows{}
	for key := range p.removed {
		touched[key] = &api.MovedFlows{Service: key.name}
	}
	v := d.view.Load()
	err := d.walk(ctx, func(_ uint, f *flowtable.Flow, now uint32) bool {
		if names := v.flows[f.Service]; names != nil && !f.Expired(now) {
			if m := touched[names.key]; m != nil {
				m.Live++
				p.count(m, names.key, names.real(f.Slot))
			}
		}
		return true
	})
	for _, m := range touched {
		a.Flows = append(a.Flows, *m)
	}
	slices.SortFunc(a.Flows, func(x, y api.MovedFlows) int { return cmp.Compare(x.Service, y.Service) })
	return err
}

func (p *planned) count(m *api.MovedFlows, key serviceKey, real netip.Addr) {
	switch servers := p.removed[key]; {
	case servers == nil:
		m.Ended++
	case servers[real]:
		m.Rescheduled++
	}
}

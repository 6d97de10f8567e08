package director

import (
	"net/netip"
	"testing"
	"time"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/mgmt/store"
)

func web(addresses ...string) store.Service {
	svc := store.Service{
		Name: "web", VIP: netip.MustParseAddr("192.168.57.100"), Protocol: store.TCP, Port: 80, Scheduler: "maglev",
		Maglev: store.Maglev{TableSize: 251, Hash: store.HashFiveTuple}, HealthChecks: store.HealthChecks{{Type: store.CheckNone}},
		Timeouts: store.Timeouts{Established: 900e9, SynReceived: 60e9, FinWait: 120e9, UDP: 300e9},
	}
	for _, a := range addresses {
		svc.RealServers = append(svc.RealServers, store.RealServer{Address: netip.MustParseAddr(a), Weight: 1})
	}
	return svc
}

func stateOf(services ...store.Service) *store.State { return &store.State{Services: services} }

// counts stands for what the lcores counted.
type counts map[uint32]lcore.RealCounters

func (c counts) read(n uint32) reading { return reading{RealCounters: c[n]} }

func update(t *testing.T, r *registry, epoch uint64, c counts, services ...store.Service) *identity {
	t.Helper()
	state := stateOf(services...)
	if err := r.room(state); err != nil {
		t.Fatal(err)
	}
	r.update(state, epoch, c.read)
	if len(services) == 0 {
		return nil
	}
	return r.services[keyOf(&services[0])]
}

func TestNumbersStayWhileConfigured(t *testing.T) {
	r, c := newRegistry(nil), counts{}
	before := update(t, r, 1, c, web("10.0.0.1", "10.0.0.2"))
	slot, counter := before.slotOf[netip.MustParseAddr("10.0.0.2")], before.slots[1].counter
	after := update(t, r, 2, c, web("10.0.0.3", "10.0.0.2"))
	if after != before || after.slotOf[netip.MustParseAddr("10.0.0.2")] != slot || after.slots[slot].counter != counter {
		t.Errorf("10.0.0.2 had slot %d and counter %d, has %+v", slot, counter, after.slots)
	}
	if after.slotOf[netip.MustParseAddr("10.0.0.3")] != 2 {
		t.Errorf("10.0.0.3 has slot %d, want 2: slot 0 may still have flows", after.slotOf[netip.MustParseAddr("10.0.0.3")])
	}
}

func TestSlotIsReusedOnlyWithoutFlows(t *testing.T) {
	gone := netip.MustParseAddr("10.0.0.1")
	for _, c := range []struct {
		name string
		seen uint64 // epoch that every lcore has seen
		left lcore.RealCounters
		free bool
	}{
		{"an lcore looks at an older snapshot", 4, lcore.RealCounters{}, false},
		{"a flow is established", 5, lcore.RealCounters{Active: 1}, false},
		{"a flow is closing", 5, lcore.RealCounters{Inactive: 1}, false},
		{"no flows are left", 5, lcore.RealCounters{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			templates, err := flowtable.NewTemplates(1)
			if err != nil {
				t.Fatal(err)
			}
			defer templates.Close()
			r, seen := newRegistry(templates), counts{}
			id := update(t, r, 1, seen, web("10.0.0.1", "10.0.0.2"))
			client := flowtable.ClientOf(id.id, 7, 32)
			templates.Bind(client, flowtable.NoSlot, id.slotOf[gone], 0)
			update(t, r, 5, seen, web("10.0.0.2"))
			seen[id.slots[0].counter] = c.left
			r.reap(c.seen, seen.read)
			r.reap(c.seen, seen.read)
			if _, kept := id.slotOf[gone]; kept == c.free {
				t.Errorf("slot kept: %v, want %v", kept, !c.free)
			}
			if named := templates.Find(client, 0) != flowtable.NoSlot; named == c.free {
				t.Errorf("a template names the slot: %v, want %v", named, !c.free)
			}
		})
	}
}

func TestServiceOfTheSameNameElsewhereIsAnother(t *testing.T) {
	r, c := newRegistry(nil), counts{}
	before := update(t, r, 1, c, web("10.0.0.1"))
	moved := web("10.0.0.1")
	moved.VIP = netip.MustParseAddr("192.168.57.101")
	after := update(t, r, 2, c, moved)
	if after.id == before.id {
		t.Errorf("the flows of the old VIP would be taken for the new one's: id %d", after.id)
	}
	if !before.withdrawn {
		t.Error("the old service is not withdrawn")
	}
	r.reap(2, c.read)
	r.reap(2, c.read)
	if len(r.services) != 1 {
		t.Errorf("%d services after the old one's last flow ended, want 1", len(r.services))
	}
	if again := update(t, r, 3, c, moved, web("10.0.0.1")); again != after {
		t.Error("the service that stayed is another one now")
	}
}

func TestComingBackKeepsTheSlot(t *testing.T) {
	r, c := newRegistry(nil), counts{}
	before := update(t, r, 1, c, web("10.0.0.1"))
	c[before.slots[0].counter] = lcore.RealCounters{Active: 3}
	update(t, r, 2, c)
	r.reap(2, c.read)
	after := update(t, r, 3, c, web("10.0.0.1"))
	if after != before || after.withdrawn || after.slots[0].gone {
		t.Errorf("the service's flows are orphans: %+v", after)
	}
}

func TestRetiredCountsAreKept(t *testing.T) {
	r, c := newRegistry(nil), counts{}
	id := update(t, r, 1, c, web("10.0.0.1"))
	c[id.slots[0].counter] = lcore.RealCounters{Packets: 10, Connections: 2}
	update(t, r, 2, c)
	r.reap(2, c.read)
	r.reap(2, c.read)
	key := realKey{"web", netip.MustParseAddr("10.0.0.1")}
	if got := r.retired[key]; got.packets != 10 || got.connections != 2 {
		t.Errorf("retired %+v, want 10 packets and 2 connections", got)
	}
	id = update(t, r, 3, c, web("10.0.0.1"))
	if base := id.slots[0].base; base.packets != 10 {
		t.Errorf("the counter is used again from %d packets on, want 10", base.packets)
	}
}

func TestWeightZeroKeepsTheLastWeight(t *testing.T) {
	r, c := newRegistry(nil), counts{}
	svc := web("10.0.0.1")
	svc.RealServers[0].Weight = 7
	update(t, r, 1, c, svc)
	svc.RealServers[0].Weight = 0
	if id := update(t, r, 2, c, svc); id.slots[0].weight != 7 {
		t.Errorf("weight %d for the table, want 7: other slots would move", id.slots[0].weight)
	}
}

func TestNumbersRunOut(t *testing.T) {
	r, c := newRegistry(nil), counts{}
	r.counters.limit = 2
	update(t, r, 1, c, web("10.0.0.1", "10.0.0.2"))
	full := stateOf(web("10.0.0.2", "10.0.0.3"))
	if err := r.room(full); err == nil {
		t.Error("a third number of two was promised")
	}
	update(t, r, 2, c, web("10.0.0.2"))
	r.reap(2, c.read)
	r.reap(2, c.read)
	if err := r.room(full); err != nil {
		t.Errorf("a number was given back, and still: %v", err)
	}
	if id := update(t, r, 3, c, full.Services...); id.slots[0].address != netip.MustParseAddr("10.0.0.3") || len(id.slots) != 2 {
		t.Errorf("slots %+v; want the free one used again", id.slots)
	}
}

func TestRemovedServerKeepsItsFlowsForAWhile(t *testing.T) {
	r, c := newRegistry(nil), counts{}
	now := time.Now()
	r.now = func() time.Time { return now }
	id := update(t, r, 1, c, web("10.0.0.1", "10.0.0.2", "10.0.0.3"))
	mac := frame.MAC{2, 0, 0, 0, 0, 1}
	id.slots[0].live = liveness{real: lcore.RealUp, mac: mac}
	id.slots[1].live = liveness{real: lcore.RealGone, mac: mac}
	c[id.slots[0].counter] = lcore.RealCounters{Active: 1}
	c[id.slots[1].counter] = lcore.RealCounters{Active: 1}
	update(t, r, 2, c, web("10.0.0.3"))
	if got := id.reals(); got[0].State != lcore.RealDraining || got[0].MAC != mac || got[1].State != lcore.RealGone {
		t.Errorf("removed: %+v; want the one that was up draining, the one that was down gone", got)
	}
	now = now.Add(removalGrace - time.Millisecond)
	if names := r.reap(2, c.read); len(names) != 0 {
		t.Errorf("before the time is over: %v are to be compiled anew", names)
	}
	now = now.Add(time.Millisecond)
	if names := r.reap(2, c.read); !names["web"] {
		t.Error("the time is over, and the service is not compiled anew")
	}
	if got := id.reals(); got[0].State != lcore.RealGone {
		t.Errorf("after its time: %+v", got)
	}
	if names := r.reap(2, c.read); len(names) != 0 {
		t.Errorf("compiled anew again and again: %v", names)
	}
}

func TestWithdrawnServiceKeepsNoFlows(t *testing.T) {
	r, c := newRegistry(nil), counts{}
	id := update(t, r, 1, c, web("10.0.0.1", "10.0.0.2"))
	id.slots[0].live.real, id.slots[1].live.real = lcore.RealUp, lcore.RealUp
	update(t, r, 2, c, web("10.0.0.2"))
	update(t, r, 3, c)
	for n, real := range id.reals() {
		if real.State != lcore.RealGone {
			t.Errorf("slot %d of a withdrawn service: %+v", n, real)
		}
	}
}

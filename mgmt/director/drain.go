package director

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"turnout/lcore"
	"turnout/mgmt/api"
	"turnout/mgmt/events"
	"turnout/mgmt/store"
)

// drains are the real servers that are being drained. The owner of the state changes it, readers look.
type drains struct {
	mu    sync.Mutex
	byKey map[realKey]*drain
}

// drain is how far one of them has got.
type drain struct {
	store.Drain
	begun   bool   // the fields below hold something
	atStart uint64 // flows when the drain began, or turnout started
	pace    pace
	empty   bool
	over    bool // the deadline is over
}

// maxDeadline bounds what a drain may wait for.
const maxDeadline = store.Duration(30 * 24 * time.Hour)

// SetDrain is that of api.Director.
func (d *Director) SetDrain(ctx context.Context, service string, address netip.Addr, want api.Drain) error {
	if want.Then == "" {
		want.Then = api.ThenKeep
	}
	if err := checkDrain(want); err != nil {
		return err
	}
	key := realKey{service, address}
	return d.ask(ctx, func() error {
		next := &drain{Drain: store.Drain{
			Service: service, RealServer: address, Since: time.Now(), Deadline: want.Deadline, Then: string(want.Then),
		}}
		text := "is drained"
		if want.Deadline > 0 {
			text += fmt.Sprintf(", for %v, then: %s", time.Duration(want.Deadline), want.Then)
		}
		return d.changeDrain(key, next, text)
	})
}

func checkDrain(want api.Drain) error {
	mistakes := &store.Mistakes{}
	if want.Deadline < 0 || want.Deadline > maxDeadline {
		mistakes.Add("deadline", "%v is out of range: use a time up to %v, or none for no deadline", want.Deadline, maxDeadline)
	}
	if !slices.Contains([]api.Then{api.ThenKeep, api.ThenReschedule, api.ThenDrop}, want.Then) {
		mistakes.Add("then", "%q is unknown: use keep, reschedule or drop", want.Then)
	}
	return mistakes.Err()
}

// EndDrain is that of api.Director.
func (d *Director) EndDrain(ctx context.Context, service string, address netip.Addr) error {
	key := realKey{service, address}
	return d.ask(ctx, func() error {
		if d.drains.get(key) == nil && d.configured(key) {
			return nil
		}
		return d.changeDrain(key, nil, "is no longer drained")
	})
}

// changeDrain keeps a drain, or the end of one, on disk and puts it in force.
func (d *Director) changeDrain(key realKey, next *drain, text string) error {
	if !d.configured(key) {
		return fmt.Errorf("real server %s of service %q: %w", key.address, key.service, api.ErrNotFound)
	}
	all := d.drains.copy()
	if next != nil {
		all[key] = next
	} else {
		delete(all, key)
	}
	if err := d.keepDrains(all); err != nil {
		return err
	}
	d.emit(events.Drain, key, text)
	d.publish(named(key.service))
	return nil
}

// keepDrains puts drains in force that are on disk.
func (d *Director) keepDrains(all map[realKey]*drain) error {
	list := make([]store.Drain, 0, len(all))
	for _, drain := range all {
		list = append(list, drain.Drain)
	}
	slices.SortFunc(list, func(a, b store.Drain) int { return a.Since.Compare(b.Since) })
	if err := d.config.Drains.Save(list); err != nil {
		return err
	}
	d.drains.set(all)
	return nil
}

// loadDrains has the drains of before a restart go on.
func (d *Director) loadDrains() error {
	list, err := d.config.Drains.Load()
	if err != nil {
		return err
	}
	all := make(map[realKey]*drain, len(list))
	for _, kept := range list {
		all[realKey{kept.Service, kept.RealServer}] = &drain{Drain: kept}
	}
	d.drains.set(all)
	return nil
}

// forgetDrains ends the drains of what is no longer configured.
func (d *Director) forgetDrains() error {
	all := d.drains.copy()
	before := len(all)
	maps.DeleteFunc(all, func(key realKey, _ *drain) bool { return !d.configured(key) })
	if len(all) == before {
		return nil
	}
	return d.keepDrains(all)
}

// configured says whether a real server is part of the desired state.
func (d *Director) configured(key realKey) bool {
	for i := range d.desired.Services {
		if svc := &d.desired.Services[i]; svc.Name == key.service {
			return slices.ContainsFunc(svc.RealServers, func(rs store.RealServer) bool { return rs.Address == key.address })
		}
	}
	return false
}

// watchDrains looks how far the drains have got, tells of those that are empty or over, and puts in force what comes
// after a deadline.
func (d *Director) watchDrains(now time.Time) {
	changed := map[string]bool{}
	for key, drain := range d.drains.copy() {
		emptied, over := d.drains.observe(drain, d.flowsOn(key), now)
		if emptied {
			d.emit(events.Drain, key, "is empty: no flow is left")
		}
		if over {
			d.emit(events.Drain, key, fmt.Sprintf("has reached its deadline, then: %s", drain.Then))
			changed[key.service] = true
		}
	}
	if len(changed) > 0 {
		d.publish(func(svc *store.Service) bool { return changed[svc.Name] })
	}
}

// flowsOn counts a real server's flows.
func (d *Director) flowsOn(key realKey) (flows uint64) {
	for identified, id := range d.registry.services {
		if n, ok := id.slotOf[key.address]; ok && identified.name == key.service {
			sum := d.sum(id.slots[n].counter)
			flows += sum.Active + sum.Inactive
		}
	}
	return flows
}

func (s *drains) get(key realKey) *drain {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key]
}

func (s *drains) copy() map[realKey]*drain {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.byKey)
	if all == nil {
		all = map[realKey]*drain{}
	}
	return all
}

func (s *drains) set(all map[realKey]*drain) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byKey = all
}

// observe notes how many flows a drain has left, and tells, once each, that it is empty and that its deadline is over.
func (s *drains) observe(d *drain, flows uint64, now time.Time) (emptied, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !d.begun {
		d.begun, d.atStart = true, flows
	}
	d.pace.note(flows, now)
	emptied, over = flows == 0 && !d.empty, d.ended(now) && !d.over
	d.empty, d.over = flows == 0, d.over || over
	return emptied, over
}

// ended says whether the deadline is over.
func (d *drain) ended(now time.Time) bool {
	return d.Deadline > 0 && now.Sub(d.Since) >= time.Duration(d.Deadline)
}

// real says which flows a real server that is alive has while it drains.
func (d *drain) real(now time.Time) lcore.RealState {
	if !d.ended(now) {
		return lcore.RealDraining
	}
	switch api.Then(d.Then) {
	case api.ThenReschedule:
		return lcore.RealGone
	case api.ThenDrop:
		return lcore.RealDown
	}
	return lcore.RealDraining
}

// live is what the API tells of a drain whose real server has so many flows; nil for none.
func (s *drains) live(key realKey, flows uint64, now time.Time) *api.DrainLive {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byKey[key]
	if d == nil {
		return nil
	}
	live := &api.DrainLive{
		Drain: api.Drain{Deadline: d.Deadline, Then: api.Then(d.Then)}, Since: d.Since, Flows: flows, FlowsAtStart: max(d.atStart, flows),
		Empty: flows == 0, Over: d.over, ETASeconds: d.pace.eta(flows, now),
	}
	if d.Deadline > 0 {
		ends := d.Since.Add(time.Duration(d.Deadline))
		live.EndsAt = &ends
	}
	return live
}

// pace is how many flows there were in the last minute.
type pace struct{ readings []paceReading }

type paceReading struct {
	at    time.Time
	flows uint64
}

// paceWindow is what an ETA looks back on.
const paceWindow = time.Minute

func (p *pace) note(flows uint64, now time.Time) {
	p.readings = slices.DeleteFunc(p.readings, func(r paceReading) bool { return now.Sub(r.at) > paceWindow })
	p.readings = append(p.readings, paceReading{now, flows})
}

// eta is the seconds until the last flow has ended, if they go on ending as fast as they did; nil if none has ended.
func (p *pace) eta(flows uint64, now time.Time) *float64 {
	seconds := 0.0
	if flows == 0 {
		return &seconds
	}
	if len(p.readings) == 0 || p.readings[0].flows <= flows {
		return nil
	}
	first := p.readings[0]
	seconds = now.Sub(first.at).Seconds() * float64(flows) / float64(first.flows-flows)
	return &seconds
}

package apitest

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/events"
	"turnout/mgmt/store"
)

// drainKey is a real server in one service.
type drainKey struct {
	service    string
	realServer netip.Addr
}

// drainPace is how long a drain still takes, at every reading.
const drainPace = 90 * time.Second

// SetDrain implements api.Director.
func (d *Director) SetDrain(_ context.Context, service string, address netip.Addr, drain api.Drain) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.known(service, address); err != nil {
		return err
	}
	d.drains[drainKey{service, address}] = drain
	d.events.Emit(events.Drain, service, address, "the drain began; flows left: 42")
	return nil
}

// EndDrain implements api.Director.
func (d *Director) EndDrain(_ context.Context, service string, address netip.Addr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.known(service, address); err != nil {
		return err
	}
	key := drainKey{service, address}
	if _, draining := d.drains[key]; draining {
		delete(d.drains, key)
		d.events.Emit(events.Drain, service, address, "the drain was ended")
	}
	return nil
}

// known refuses a real server that is not configured.
func (d *Director) known(service string, address netip.Addr) error {
	if !has(d.state, drainKey{service, address}) {
		return fmt.Errorf("real server %s of service %q: %w", address, service, api.ErrNotFound)
	}
	return nil
}

func has(s store.State, key drainKey) bool {
	for _, svc := range s.Services {
		for _, rs := range svc.RealServers {
			if svc.Name == key.service && rs.Address == key.realServer {
				return true
			}
		}
	}
	return false
}

// forget ends the drains of real servers that are no longer configured.
func (d *Director) forget() {
	for key := range d.drains {
		if !has(d.state, key) {
			delete(d.drains, key)
		}
	}
}

// drainLive is how far the drain of a real server has got; nil: it is not drained.
func (d *Director) drainLive(key drainKey) *api.DrainLive {
	drain, draining := d.drains[key]
	if !draining {
		return nil
	}
	eta := drainPace.Seconds()
	l := &api.DrainLive{Drain: drain, Since: Now, Flows: activeFlows + inactiveFlows, FlowsAtStart: 60, ETASeconds: &eta}
	if drain.Deadline > 0 {
		end := Now.Add(time.Duration(drain.Deadline))
		l.EndsAt = &end
	}
	return l
}

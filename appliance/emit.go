package main

import (
	"fmt"
	"net/netip"

	"turnout/lcore/frame"
	"turnout/mgmt/events"
	"turnout/mgmt/health"
	"turnout/mgmt/neigh"
)

// healthChanged tells the director, and those who follow events, that a real server went up or down.
func (a *Appliance) healthChanged(c health.Change) {
	text := fmt.Sprintf("real server %v of service %s is up", c.RealServer, c.Service)
	if !c.Up {
		text = fmt.Sprintf("real server %v of service %s is down: %s", c.RealServer, c.Service, c.Reason)
	}
	a.events.Emit(events.Health, c.Service, c.RealServer, text)
	a.director.HealthChanged(c.Service)
}

// neighbourText tells of a real server's MAC that is another one than before; zero stands for none.
func neighbourText(address netip.Addr, before, mac frame.MAC) string {
	switch {
	case mac == frame.MAC{}:
		return fmt.Sprintf("%v is no longer at %v: it does not answer ARP", address, before)
	case before == frame.MAC{}:
		return fmt.Sprintf("%v is at %v", address, mac)
	}
	return fmt.Sprintf("%v has moved from %v to %v", address, before, mac)
}

// vipStates is what was last told of the VIPs. It belongs to the guard's goroutine.
type vipStates struct {
	appliance *Appliance
	states    map[netip.Addr]neigh.VIP
}

// changed tells of every VIP that is other than before.
func (s *vipStates) changed() {
	now := map[netip.Addr]neigh.VIP{}
	for _, v := range s.appliance.guard.VIPs() {
		now[v.Address] = v
		if s.states[v.Address] != v {
			s.appliance.events.Emit(events.VIP, "", netip.Addr{}, vipText(v))
		}
	}
	s.states = now
}

func vipText(v neigh.VIP) string {
	text := fmt.Sprintf("VIP %v is in state %v", v.Address, v.State)
	if (v.ConflictMAC != frame.MAC{}) {
		text += fmt.Sprintf(": %v claims it as well", v.ConflictMAC)
	}
	return text
}

package main

import (
	"fmt"
	"net/netip"

	"go.uber.org/zap"

	"turnout/lcore/frame"
	"turnout/mgmt/api"
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

// diagnosed tells those who follow events what is wrong with the way to a real server.
func (a *Appliance) diagnosed(d health.Diagnosed) {
	text := fmt.Sprintf("the way to real server %v of service %s: %s", d.RealServer, d.Service, d.Diagnosis)
	if d.Why != "" {
		text += ": " + d.Why
	}
	a.events.Emit(events.Diagnosis, d.Service, d.RealServer, text)
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

// vipNews is what was last told of the VIPs and of who else claims an address. It belongs to the guard's goroutine.
type vipNews struct {
	appliance *Appliance
	states    map[netip.Addr]neigh.State
	conflicts map[string]api.Conflict // by what they say
}

// tell tells of what is other than before.
func (n *vipNews) tell() {
	n.tellStates()
	n.tellConflicts()
}

func (n *vipNews) tellStates() {
	now := map[netip.Addr]neigh.State{}
	for _, v := range n.appliance.guard.VIPs() {
		now[v.Address] = v.State
		if before, known := n.states[v.Address]; !known || before != v.State {
			n.appliance.events.Emit(events.VIP, "", netip.Addr{}, fmt.Sprintf("VIP %v is in state %v", v.Address, v.State))
		}
	}
	n.states = now
}

func (n *vipNews) tellConflicts() {
	now := map[string]api.Conflict{}
	for _, c := range n.appliance.director.Conflicts() {
		now[c.Text] = c
		if _, known := n.conflicts[c.Text]; !known {
			n.appliance.conflictBegins(c)
		}
	}
	for text, c := range n.conflicts {
		if _, still := now[text]; !still {
			n.appliance.conflictEnds(c)
		}
	}
	n.conflicts = now
}

func (a *Appliance) conflictBegins(c api.Conflict) {
	a.log.Warn("another machine claims an address", append(conflictFields(c), zap.String("mend", c.Mend))...)
	a.emitConflict(c, c.Text+"; "+c.Mend)
}

func (a *Appliance) conflictEnds(c api.Conflict) {
	a.log.Info("no longer heard: another machine claims an address", conflictFields(c)...)
	a.emitConflict(c, "no longer heard: "+c.Text)
}

func conflictFields(c api.Conflict) []zap.Field {
	fields := []zap.Field{zap.String("what", c.Text), zap.String("mac", c.MAC)}
	if c.VIP {
		return append(fields, zap.Stringer("vip", c.Address))
	}
	return append(fields, zap.Stringer("real_server", c.Address))
}

// emitConflict tells of a conflict at the VIP or the real server whose address it is about.
func (a *Appliance) emitConflict(c api.Conflict, text string) {
	if c.VIP {
		a.events.Emit(events.VIP, "", netip.Addr{}, text)
		return
	}
	a.events.Emit(events.Neighbour, "", c.Address, text)
}

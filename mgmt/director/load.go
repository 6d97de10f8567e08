package director

import (
	"slices"
	"time"

	"turnout/mgmt/store"
	"turnout/sched"
)

// refreshInterval is how often flows are counted for schedulers and thresholds, and slow starts and gradual changes
// take a step. With the making of the tables it keeps counts under 100 ms old.
const refreshInterval = 50 * time.Millisecond

// load is what a real server had to do when it was last looked at.
type load struct{ active, inactive, connections uint64 }

// refresh brings the tables up to date that change by themselves, and stops when there are none. Only a threshold that is
// reached or left takes a new snapshot.
func (d *Director) refresh(now time.Time) {
	changed, again := map[string]bool{}, false
	for i := range d.desired.Services {
		c := d.compiled[keyOf(&d.desired.Services[i])]
		if !c.restless() {
			continue
		}
		again = true
		flows, limits := d.weigh(c)
		switch {
		case limits:
			changed[c.service.Name] = true
		case c.counts():
			c.table(now, foreseen*flows)
		default:
			c.table(now, 0)
		}
	}
	if !again {
		d.refreshing.Stop()
	}
	if len(changed) > 0 {
		d.publish(func(svc *store.Service) bool { return changed[svc.Name] })
	}
}

// foreseen is how many times the new flows of the last interval a table is made for.
const foreseen = 4

// restless says whether the service's table changes by itself: with the flows, or in steps.
func (c *compiled) restless() bool {
	return c.former != nil || c.counts() || limited(c.service) ||
		slices.ContainsFunc(c.made.servers, func(s sched.Server) bool { return s.Share < sched.FullShare })
}

// limited says whether a real server of the service has a threshold.
func limited(svc *store.Service) bool {
	for i := range svc.RealServers {
		if svc.RealServers[i].UpperThreshold > 0 {
			return true
		}
	}
	return false
}

// weigh counts the flows of a service's real servers. It tells how many new ones there were since it last did, and
// whether a real server has become overloaded or ceased to be.
func (d *Director) weigh(c *compiled) (flows int, limits bool) {
	for i := range c.service.RealServers {
		rs := &c.service.RealServers[i]
		s := &c.id.slots[c.id.slotOf[rs.Address]]
		sum := d.sum(s.counter)
		flows += int(sum.Connections - s.load.connections)
		s.load = load{sum.Active, sum.Inactive, sum.Connections}
		before := s.overloaded
		s.overloaded = overloaded(rs, sum.Active+sum.Inactive, before)
		limits = limits || s.overloaded != before
	}
	return flows, limits
}

// overloaded judges thresholds as IPVS does: a real server with as many flows as its upper threshold gets no new ones
// until there are fewer than its lower one, or than three quarters of the upper one if it has no lower one.
func overloaded(rs *store.RealServer, flows uint64, before bool) bool {
	upper, lower := uint64(rs.UpperThreshold), uint64(rs.LowerThreshold)
	switch {
	case upper == 0:
		return false
	case flows >= upper:
		return true
	case lower > 0:
		return before && flows >= lower
	}
	return before && flows*4 >= upper*3
}

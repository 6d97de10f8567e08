package director

import (
	"time"

	"turnout/mgmt/store"
)

// refreshInterval is how often flows are counted for schedulers and thresholds, and slow starts and gradual changes
// take a step. With the making of the tables it keeps counts under 100 ms old.
const refreshInterval = 50 * time.Millisecond

// load is what a real server had to do when it was last looked at.
type load struct{ active, inactive, connections uint64 }

// refresh brings the tables up to date that change by themselves. Only a threshold that is reached or left takes a new
// snapshot.
func (d *Director) refresh(now time.Time) {
	changed := map[string]bool{}
	for i := range d.desired.Services {
		c := d.compiled[keyOf(&d.desired.Services[i])]
		counted := c.counts() || limited(c.service)
		if !counted && !c.ramping(now) {
			continue
		}
		flows, limits := 0, false
		if counted {
			flows, limits = d.weigh(c)
		}
		if limits {
			changed[c.service.Name] = true
			continue
		}
		c.table(now, foreseen*flows)
	}
	if len(changed) > 0 {
		d.publish(func(svc *store.Service) bool { return changed[svc.Name] })
	}
}

// foreseen is how many times the new flows of the last interval a table is made for.
const foreseen = 4

// ramping says whether a slow start or a gradual change has steps to go.
func (c *compiled) ramping(now time.Time) bool {
	if c.former != nil {
		return true
	}
	for i := range c.made.servers {
		if c.service.SlowStart > 0 && c.made.servers[i].Share < share(c.id.slots[c.made.servers[i].Slot].upSince, time.Duration(c.service.SlowStart), now) {
			return true
		}
	}
	return false
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

package director

import (
	"slices"
	"time"

	"turnout/lcore"
	"turnout/sched"
)

// tabling is how a service's table is made: by a plan of all real servers and by what each of them may take now.
type tabling struct {
	plan   *sched.Plan
	former *sched.Plan // before a gradual change; nil: none is under way
	since  time.Time   // when that began
	made   recipe      // what the table in force was made from
}

// recipe is all that a table depends on beside the plans. Equal recipes make equal tables.
type recipe struct {
	servers []sched.Server
	blend   uint32 // how far a gradual change has got, of sched.FullShare
	sorry   bool   // the sorry server gets all new flows
}

// steps is how many steps slow starts and gradual changes take.
const steps = 32

// plans makes the plan of the service's real servers, or takes over the one before while they and their weights stay.
// A gradual change that another one overtakes is cut short.
func (c *compiled) plans(old *compiled, now time.Time) (err error) {
	scheduler, err := sched.Lookup(c.service.Scheduler)
	if err != nil {
		return err
	}
	servers, options := c.servers(now), sched.Options{TableSize: c.service.Maglev.TableSize}
	if old != nil && old.plan != nil && old.plan.Fits(scheduler, servers, options) {
		c.plan, c.former, c.since = old.plan, old.former, old.since
		if r := c.recipe(now); r.equal(&old.made) { // the table before is as good
			c.spec.Table.Store(old.spec.Table.Load())
			c.made = old.made
		}
		return nil
	}
	if c.plan, err = scheduler.Plan(servers, options); err != nil {
		return err
	}
	if old != nil && old.plan != nil && c.service.Gradual > 0 {
		c.former, c.since = old.plan, now
	}
	return nil
}

// table makes the table of now, unless the one in force is just that and no flow has been taken from it. flows is how many
// new flows it should foresee.
func (c *compiled) table(now time.Time, flows int) {
	if c.plan == nil {
		return
	}
	r := c.recipe(now)
	if c.spec.Table.Load() != nil && flows == 0 && r.equal(&c.made) {
		return
	}
	c.made = r
	if r.sorry {
		c.spec.Table.Store(c.sorryTable())
		return
	}
	table := c.plan.Table(r.servers, flows)
	if c.former != nil {
		table = sched.Blend(c.former.Table(r.servers, flows), table, r.blend)
	}
	if r.blend == sched.FullShare {
		c.former = nil
	}
	c.spec.Table.Store(table)
}

func (c *compiled) recipe(now time.Time) recipe {
	r := recipe{servers: c.servers(now), blend: sched.FullShare}
	if c.former != nil {
		r.blend = share(c.since, time.Duration(c.service.Gradual), now)
	}
	r.sorry = !c.id.quorate && c.view.sorry != nil && c.view.sorry.live.real == lcore.RealUp
	return r
}

func (r *recipe) equal(o *recipe) bool {
	return r.blend == o.blend && r.sorry == o.sorry && slices.Equal(r.servers, o.servers)
}

// servers are the service's real servers as its scheduler sees them now.
func (c *compiled) servers(now time.Time) []sched.Server {
	counts := c.counts()
	servers := make([]sched.Server, 0, len(c.view.reals))
	for i := range c.view.reals {
		n := c.id.slotOf[c.view.reals[i].Address]
		s := &c.id.slots[n]
		server := sched.Server{
			ID: s.address.String(), Slot: n, Weight: uint32(s.weight), Usable: s.live.real == lcore.RealUp && !s.overloaded,
			Share: share(s.upSince, time.Duration(c.service.SlowStart), now),
		}
		if counts {
			server.Active, server.Inactive = uint32(s.load.active), uint32(s.load.inactive)
		}
		servers = append(servers, server)
	}
	return servers
}

// counts says whether the service's table depends on how many flows its real servers have.
func (c *compiled) counts() bool {
	scheduler, err := sched.Lookup(c.service.Scheduler)
	return err == nil && scheduler.Counts()
}

// sorryTable gives all new flows to the sorry server.
func (c *compiled) sorryTable() *sched.Table {
	only := []sched.Server{{
		ID: c.view.sorry.Address.String(), Slot: c.id.slotOf[c.view.sorry.Address], Weight: 1, Usable: true, Share: sched.FullShare,
	}}
	plan, err := sched.RR.Plan(only, sched.Options{})
	if err != nil {
		return nil
	}
	return plan.Table(only, 0)
}

// share is how much of something that takes the time of whole is done, in steps, of sched.FullShare. The first step is
// done at once.
func share(since time.Time, whole time.Duration, now time.Time) uint32 {
	gone := now.Sub(since)
	if whole <= 0 || gone >= whole {
		return sched.FullShare
	}
	step := 1 + int64(max(gone, 0))*(steps-1)/int64(whole)
	return uint32(step * sched.FullShare / steps)
}

package sched

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
)

// Plan is what a scheduler made of a service's real servers and their weights, before it is asked which of them
// are usable. It is immutable.
type Plan struct {
	scheduler *Scheduler
	options   Options
	servers   []Server // sorted by ID, weights at least 1, Usable cleared
	base      []uint16 // the positions if all servers are usable
}

// slotSet tells for every slot whether it is in the set.
type slotSet [1 << 16]bool

// Plan compiles the servers, in any order; Usable is ignored. The error says which server or option is at fault.
func (s *Scheduler) Plan(servers []Server, o Options) (*Plan, error) {
	p := &Plan{scheduler: s, options: o, servers: canonical(servers)}
	if err := s.validate(p.servers, o); err != nil {
		return nil, err
	}
	p.base = s.build(p.servers, o)
	return p, nil
}

// Fits reports whether s.Plan(servers, o) would give p again, so that p.Table is all that is needed.
func (p *Plan) Fits(s *Scheduler, servers []Server, o Options) bool {
	return p.scheduler == s && p.options == o && slices.Equal(p.servers, canonical(servers))
}

// Table returns the table for the servers whose Usable is true. They are told by their slots; a server of the plan
// that is missing from the list is not usable. If all are usable, the tables of a plan share their memory.
func (p *Plan) Table(servers []Server) *Table {
	var usable slotSet
	for _, s := range servers {
		usable[s.Slot] = s.Usable
	}
	return &Table{slots: p.slots(&usable), bySequence: p.scheduler.bySequence}
}

func (p *Plan) slots(usable *slotSet) []uint16 {
	able := p.only(usable)
	switch {
	case len(able) == len(p.servers):
		return p.base
	case len(able) == 0:
		return nil
	case p.scheduler.around != nil:
		return p.scheduler.around(p, usable)
	}
	return p.scheduler.build(able, p.options)
}

// only returns the plan's servers whose slots are usable.
func (p *Plan) only(usable *slotSet) []Server {
	return slices.DeleteFunc(slices.Clone(p.servers), func(s Server) bool { return !usable[s.Slot] })
}

// canonical returns the servers as every director sees them.
func canonical(servers []Server) []Server {
	c := slices.Clone(servers)
	for i := range c {
		c[i].Weight = max(c[i].Weight, 1)
		c[i].Usable = false
	}
	slices.SortFunc(c, func(a, b Server) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Slot, b.Slot))
	})
	return c
}

func (s *Scheduler) validate(servers []Server, o Options) error {
	if err := checkIdentity(servers); err != nil {
		return err
	}
	if s.check == nil {
		return nil
	}
	return s.check(servers, o)
}

// checkIdentity refuses two servers with one ID, which would be one to every other director, or with one slot.
func checkIdentity(servers []Server) error {
	owner := make(map[uint16]string, len(servers))
	for i, s := range servers {
		if i > 0 && s.ID == servers[i-1].ID {
			return errors.New("real server " + s.ID + " is listed twice: remove one of the two")
		}
		if s.Slot == None {
			return errors.New("real server " + s.ID + " has no slot: slots are 0 to " + strconv.Itoa(int(None)-1))
		}
		if other, taken := owner[s.Slot]; taken {
			return errors.New("real servers " + other + " and " + s.ID + " share slot " + strconv.Itoa(int(s.Slot)) + ": give each its own")
		}
		owner[s.Slot] = s.ID
	}
	return nil
}

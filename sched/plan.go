package sched

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
)

// Plan is what a scheduler made of a service's real servers and their weights, before it is asked how they are now.
// It is immutable.
type Plan struct {
	scheduler *Scheduler
	options   Options
	servers   []Server // as canonical returns them
	base      []uint16 // the positions if every server takes all its own
	room      int      // one more than the largest slot
}

// Plan compiles the servers, in any order; how they are now is ignored. The error says which server or option is at fault.
func (s *Scheduler) Plan(servers []Server, o Options) (*Plan, error) {
	p := &Plan{scheduler: s, options: o, servers: canonical(servers)}
	if err := s.validate(p.servers, o); err != nil {
		return nil, err
	}
	p.base = s.build(p.servers, o)
	for _, s := range p.servers {
		p.room = max(p.room, int(s.Slot)+1)
	}
	return p, nil
}

// Fits reports whether s.Plan(servers, o) would give p again, so that p.Table is all that is needed.
func (p *Plan) Fits(s *Scheduler, servers []Server, o Options) bool {
	return p.scheduler == s && p.options == o && slices.Equal(p.servers, canonical(servers))
}

// Table returns the table for the servers as they are now, in any order. They are told by their slots; a server of
// the plan that is missing from the list takes nothing. If every server takes all its own, the positions of a plan's
// tables share their memory. flows is how many new flows a scheduler that counts should foresee, of all lcores until
// the next table; others ignore it.
func (p *Plan) Table(servers []Server, flows int) *Table {
	able := p.able(servers)
	slots := p.slots(able)
	switch s := p.scheduler; {
	case len(able) == 0 || !s.bySequence:
		return &Table{slots: slots}
	case s.Counts():
		return &Table{slots: slots, turns: s.foresee(able, foresight(flows, len(able))), place: new(place)}
	}
	return &Table{slots: slots, turns: slots}
}

// slots returns the positions with those servers that are able to take some.
func (p *Plan) slots(able []Server) []uint16 {
	switch {
	case len(able) == 0:
		return nil
	case len(able) == len(p.servers) && !ramping(able):
		return p.base
	case p.scheduler.bySequence:
		return ramped(p.scheduler.build(able, p.options), p.shares(able), p.scheduler.longest())
	}
	return p.around(able)
}

// able returns the plan's servers that may take flows, as they are now.
func (p *Plan) able(now []Server) []Server {
	state := make([]Server, p.room) // by slot
	for _, s := range now {
		if int(s.Slot) < p.room && s.Usable {
			state[s.Slot] = s
		}
	}
	able := make([]Server, 0, len(p.servers))
	for _, s := range p.servers {
		if n := &state[s.Slot]; n.Share > 0 {
			s.Usable, s.Share, s.Active, s.Inactive = true, min(n.Share, FullShare), n.Active, n.Inactive
			able = append(able, s)
		}
	}
	return able
}

// shares returns by slot how much of its own a server takes.
func (p *Plan) shares(able []Server) []uint32 {
	shares := make([]uint32, p.room)
	for _, s := range able {
		shares[s.Slot] = s.Share
	}
	return shares
}

// ramping reports whether a server may not take all its own yet.
func ramping(servers []Server) bool {
	return slices.ContainsFunc(servers, func(s Server) bool { return s.Share < FullShare })
}

// canonical returns the servers as every director sees them: sorted by ID, weights at least 1, and not how they are now.
func canonical(servers []Server) []Server {
	c := make([]Server, len(servers))
	for i, s := range servers {
		c[i] = Server{ID: s.ID, Slot: s.Slot, Weight: max(s.Weight, 1)}
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

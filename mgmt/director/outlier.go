package director

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"turnout/lcore"
	"turnout/mgmt/events"
	"turnout/mgmt/store"
)

// outlierLooks is how many looks, of which there is one each reapInterval, a real server is judged by.
const outlierLooks = 10

// longestEject is how many times the first ejection the last ones are.
const longestEject = 10

// sample is what had been counted of handshakes at a look.
type sample struct{ syns, answered uint64 }

// outlier is what is known of a real server's handshakes, and of the times that it was ejected.
type outlier struct {
	samples []sample      // of the looks since it last began to get new flows, oldest first
	suspect bool          // at the last look too many handshakes were unanswered
	until   time.Time     // end of its last ejection
	lasted  time.Duration // how long that was
}

// look adds what is counted now, and tells of the handshakes that began during the looks kept: how many, and how many of
// them have no answer. In a steady stream those still open at the end make up for those that were open at the beginning.
func (o *outlier) look(now sample) (syns, unanswered uint64) {
	if len(o.samples) > outlierLooks {
		o.samples = o.samples[:copy(o.samples, o.samples[1:])]
	}
	o.samples = append(o.samples, now)
	syns = now.syns - o.samples[0].syns
	return syns, syns - min(syns, now.answered-o.samples[0].answered)
}

// eject takes a real server out from now on: for twice as long as before, unless it has been back for longer than that
// and the time that it takes to tell.
func (o *outlier) eject(now time.Time, first time.Duration) {
	lasted := first
	if now.Sub(o.until) <= o.lasted+outlierLooks*reapInterval {
		lasted = min(2*o.lasted, longestEject*first)
	}
	*o = outlier{until: now.Add(lasted), lasted: lasted}
}

// ejected says whether a real server that is up otherwise gets no new flows, for what its clients' packets have told.
func (d *Director) ejected(svc *store.Service, rs *store.RealServer, now time.Time) bool {
	id := d.registry.services[keyOf(svc)]
	return svc.Outlier.On() && now.Before(id.slots[id.slotOf[rs.Address]].outlier.until)
}

// handshakesOf is what the lcores have counted of handshakes under a number.
func (d *Director) handshakesOf(counter uint32) sample {
	r := d.read(counter)
	return sample{r.Syns, answers(&r.Handshakes)}
}

// judgeOutliers looks at the services that eject outliers. read tells what is counted now.
func (d *Director) judgeOutliers(now time.Time, read func(counter uint32) sample) {
	changed := map[string]bool{}
	for i := range d.desired.Services {
		if svc := &d.desired.Services[i]; svc.Outlier.On() {
			changed[svc.Name] = d.judgeOutliersOf(d.compiled[keyOf(svc)], now, read)
		}
	}
	if slices.Contains(slices.Collect(maps.Values(changed)), true) {
		d.publish(func(svc *store.Service) bool { return changed[svc.Name] })
	}
}

// A judgement is what the looks say of a service's real servers.
type judgement struct {
	total, ejected uint64 // weight
	answers        bool   // some real server answers its clients
	back           bool   // some ejection is over
	outliers       []suspect
}

// A suspect is a real server that was found wanting at two looks.
type suspect struct {
	real             *realView
	slot             *slot
	syns, unanswered uint64
}

// judgeOutliersOf ejects outliers, the worst first, as far as the service can do without them, and says whether a real
// server is to be ejected or tried again.
func (d *Director) judgeOutliersOf(c *compiled, now time.Time, read func(uint32) sample) (changed bool) {
	var j judgement
	for i := range c.view.reals {
		d.judgeReal(c, &c.view.reals[i], now, read, &j)
	}
	slices.SortStableFunc(j.outliers, func(a, b suspect) int { return cmp.Compare(b.unanswered*a.syns, a.unanswered*b.syns) })
	changed = j.back
	for _, o := range j.outliers {
		weight := uint64(o.real.Weight)
		if !j.answers || 100*(j.ejected+weight) > uint64(c.service.Outlier.MaxEjected)*j.total {
			continue
		}
		j.ejected, changed = j.ejected+weight, true
		o.slot.outlier.eject(now, time.Duration(c.service.Outlier.Eject))
		d.emit(events.Outlier, realKey{c.service.Name, o.real.Address}, fmt.Sprintf("is ejected for %v: %d of its last %d handshakes were not answered",
			store.Duration(o.slot.outlier.lasted), o.unanswered, o.syns))
	}
	return changed
}

// judgeReal takes a look at a real server.
func (d *Director) judgeReal(c *compiled, r *realView, now time.Time, read func(uint32) sample, j *judgement) {
	s := &c.id.slots[c.id.slotOf[r.Address]]
	o, rules := &s.outlier, &c.service.Outlier
	j.total += uint64(r.Weight)
	switch {
	case r.live.state == ejectedState && now.Before(o.until):
		j.ejected += uint64(r.Weight)
		return
	case r.live.state == ejectedState:
		j.back = true
		d.emit(events.Outlier, realKey{c.service.Name, r.Address}, "is tried again")
		return
	case r.live.real != lcore.RealUp:
		o.samples, o.suspect = nil, false
		return
	}
	syns, unanswered := o.look(read(r.counter))
	failing := 100*unanswered >= uint64(rules.Unanswered)*syns
	j.answers = j.answers || syns > 0 && !failing
	failing = failing && syns >= uint64(rules.MinSyns)
	if failing && o.suspect {
		j.outliers = append(j.outliers, suspect{r, s, syns, unanswered})
	}
	o.suspect = failing
}

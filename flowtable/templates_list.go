package flowtable

import "iter"

// A Template is one client's, as it stood when it was looked at.
type Template struct {
	Client Client
	Slot   uint16 // real server's slot within the service; NoSlot if it was forgotten
	Flows  uint16 // live flows that keep it
	Expiry uint32 // tick at which it is gone, once it has no flows
}

// forgotten is the slot in templates whose real server is no more. Nobody has so many real servers.
const forgotten = NoSlot - 1

// All returns the templates that are not expired at tick now. One that is made or goes in between may be missing.
func (t *Templates) All(now uint32) iter.Seq[Template] {
	return func(yield func(Template) bool) {
		for e := range t.places() {
			c, v := e.load()
			if v.claimed() || v.vacant(now) {
				continue
			}
			shown := Template{Client: c, Slot: v.slot(), Flows: v.flows(), Expiry: uint32(v)}
			if shown.Slot == forgotten {
				shown.Slot = NoSlot
			}
			if !yield(shown) {
				return
			}
		}
	}
}

// Entries counts the templates that are not expired at tick now. It looks at them all.
func (t *Templates) Entries(now uint32) (n int) {
	for e := range t.places() {
		if v := value(e.value.Load()); !v.claimed() && !v.vacant(now) {
			n++
		}
	}
	return n
}

// Forget makes all templates of a service that name a slot name no real server, so that the slot may be given to another
// one. No lcore may look at the old real server any more. Templates with flows, which are then on other real servers, go
// on without it; the rest end.
func (t *Templates) Forget(service, slot uint16) {
	for e := range t.places() {
		for {
			c, v := e.load()
			if v == 0 || v.claimed() || v.slot() != slot || c.Service() != service || e.replace(v, v.forget()) {
				break
			}
		}
	}
}

// Reset makes all places free. Nobody else may be using the templates.
func (t *Templates) Reset() {
	for e := range t.places() {
		e.value.Store(0)
	}
}

func (v value) forget() value {
	if v.flows() == 0 {
		return 0
	}
	return valueOf(forgotten, v.flows(), uint32(v))
}

func (t *Templates) places() iter.Seq[*template] {
	return func(yield func(*template) bool) {
		for i := range t.lines {
			line := t.line(i)
			for j := range line {
				if !yield(&line[j]) {
					return
				}
			}
		}
	}
}

// load returns a value and the client that it belongs to, unless it is a claim.
func (e *template) load() (Client, value) {
	for {
		v := value(e.value.Load())
		c := Client(e.key.Load() >> 16)
		if value(e.value.Load()) == v {
			return c, v
		}
	}
}

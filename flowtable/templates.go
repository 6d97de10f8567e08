package flowtable

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// NoSlot is no real server's slot.
const NoSlot = 1<<16 - 1

// A Client is whom a persistence template is for: a network of client addresses, of one virtual service.
type Client uint64 // network<<16 | service

// ClientOf returns the client that an address belongs to; the first prefix bits of the address, at most 32, make it.
func ClientOf(service uint16, address uint32, prefix uint8) Client {
	network := address & (^uint32(0) << (32 - prefix))
	return Client(network)<<16 | Client(service)
}

// Service is the virtual service's id.
func (c Client) Service() uint16 { return uint16(c) }

// Network is the network's address.
func (c Client) Network() uint32 { return uint32(c >> 16) }

// Templates remember which real server a client's flows go to, for services with persistence. Unlike a Table they are
// shared by all lcores, because a client's flows come to all of them. They are looked at when a flow of such a service
// begins or ends, never for a packet of a known flow. Everything is done by compare-and-swap of single words: nobody waits
// for anybody.
//
// A template is two words, four templates a cache line. A client has two candidate lines. The value word alone says how
// things stand:
//
//	0                               free
//	NoSlot, client's hash, tick     claimed: the client's template is being made
//	slot, flows, expiry             made: for the client in the key word
//
// A template is made in three steps: a free or expired value is replaced by a claim, the key word is set, and the claim is
// replaced by the value. Whoever meets a claim of its own client may take the steps that are left with its own choice of a
// real server; the last step is one compare-and-swap, so there is one winner. Two lcores may claim two places for one
// client at once, because places become free at any time. So nobody takes the last step before having searched all places
// once more after the claim: of several claims all but the first are given up, and before a template that is made, all.
// The tick tells a claim from a later one in its place, so that an lcore that was held up does not take a step of that one.
type Templates struct {
	base    unsafe.Pointer // of the lines, in memory
	lines   uint64
	entries int
	seed    [2]uint64
	memory  []byte
}

// A template is one place. See Templates.
type template struct {
	key   atomic.Uint64 // Client<<16, and the tick of the claim
	value atomic.Uint64
}

const (
	lineTemplates = 4
	lineSize      = 64

	// spare is how many places there are for each template promised: so many that one in 50 000 finds none.
	spare = 2

	maxTemplates = 1 << 26 // 2 GiB
)

type templateLine [lineTemplates]template

var _ [lineSize]byte = [unsafe.Sizeof(templateLine{})]byte{}

// NewTemplates makes room for this many templates, at 32 bytes each. It fails if entries is below 1 or beyond 1<<26, or if
// the memory cannot be had.
func NewTemplates(entries int) (*Templates, error) {
	const bytes = spare * lineSize / lineTemplates
	if entries < 1 || entries > maxTemplates {
		return nil, fmt.Errorf("%d persistence templates: must be 1 to %d (each takes %d bytes)", entries, maxTemplates, bytes)
	}
	lines := max(2, (entries*spare+lineTemplates-1)/lineTemplates) // a client's two lines are never the same one
	memory, _, err := mapMemory(lines * lineSize)
	if err != nil {
		return nil, fmt.Errorf("%d persistence templates (%s): %w; give room for fewer or the machine more memory",
			entries, formatBytes(float64(entries)*bytes), err)
	}
	return &Templates{base: unsafe.Pointer(&memory[0]), lines: uint64(lines), entries: entries, seed: [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1}, memory: memory}, nil
}

// Close gives the memory back. Nobody may use the templates any more.
func (t *Templates) Close() error {
	memory := t.memory
	*t = Templates{}
	if memory == nil {
		return nil
	}
	if err := syscall.Munmap(memory); err != nil {
		return fmt.Errorf("unmap persistence templates: %w", err)
	}
	return nil
}

// Capacity returns the number of templates that there is surely room for.
func (t *Templates) Capacity() int { return t.entries }

// A value is what a template's value word holds: the real server's slot in 16 bits, the client's live flows in 16, and in
// 32 the tick at which the template is gone, if it has no flows.
type value uint64

func valueOf(slot, flows uint16, expiry uint32) value {
	return value(slot)<<48 | value(flows)<<32 | value(expiry)
}

func (v value) claimed() bool { return v.slot() == NoSlot }
func (v value) slot() uint16  { return uint16(v >> 48) }
func (v value) flows() uint16 { return uint16(v >> 32) }

// vacant tells whether the place of a value that is no claim may be had for another client.
func (v value) vacant(now uint32) bool {
	return v == 0 || v.flows() == 0 && int32(now-uint32(v)) >= 0
}

// A query is what is looked for on behalf of a client, and where.
type query struct {
	client Client
	claim  value // NoSlot, 32 hash bits of the client, and 16 of the tick at which it was made, here 0
	lines  [2]*templateLine
}

func (t *Templates) query(c Client) query {
	high, low := bits.Mul64(uint64(c)^t.seed[0], t.seed[1])
	high, low = bits.Mul64(high^low^t.seed[1], t.seed[0])
	h := high ^ low
	first := h >> 32 * t.lines >> 32
	second := uint64(uint32(h)) * (t.lines - 1) >> 32
	if second >= first {
		second++
	}
	return query{c, NoSlot<<48 | value(uint32(low))<<16, [2]*templateLine{t.line(first), t.line(second)}}
}

func (t *Templates) line(i uint64) *templateLine {
	return (*templateLine)(unsafe.Add(t.base, i*lineSize))
}

// claims tells whether a value is a claim of the client.
func (q *query) claims(v value) bool { return v&^(1<<16-1) == q.claim }

// owns tells whether a template that is made is the client's.
func (q *query) owns(e *template) bool { return Client(e.key.Load()>>16) == q.client }

// Find returns the slot of the real server that the client's template names, or NoSlot if it has none or the real server
// was forgotten.
func (t *Templates) Find(c Client, now uint32) uint16 {
	q := t.query(c)
	if _, v := q.made(now); v != 0 && v.slot() != forgotten {
		return v.slot()
	}
	return NoSlot
}

// made returns the client's template and its value, or 0 if it has none.
func (q *query) made(now uint32) (*template, value) {
	for _, line := range q.lines {
		for i := range line {
			e := &line[i]
			if v := value(e.value.Load()); !v.claimed() && !v.vacant(now) && q.owns(e) {
				return e, v
			}
		}
	}
	return nil, 0
}

// Bind counts one more flow of the client, and returns the slot of the real server that its template names then. A
// template that is missing is made, and one that names old or a forgotten one is changed, to name slot. The flow must be
// let go by Release, unless counted is false: so many flows are counted already that one more or less makes no difference,
// or, with NoSlot, there is no room for a template.
func (t *Templates) Bind(c Client, old, slot uint16, now uint32) (bound uint16, counted bool) {
	q := t.query(c)
	var looked search // a claim, the only one when everything was searched after it
	for range bindTries {
		s, ok := q.search(now)
		switch {
		case !ok:
		case s.found == nil:
			return NoSlot, false
		case s.made:
			v, counted := s.value.bind(old, slot, now)
			if s.found.replace(s.value, v) {
				return v.slot(), counted
			}
		case !s.value.claimed():
			claim := q.claim | value(uint16(now))
			if s.found.replace(s.value, claim) {
				looked = search{s.found, claim, false}
			}
		case s != looked:
			looked = s
		case s.found.finish(c, s.value, valueOf(slot, 1, now)):
			return slot, true
		}
	}
	return NoSlot, false
}

// bindTries is how often others may get ahead of a Bind before it gives up. Each time one of them has got on, and a client
// does not begin flows on so many lcores at once.
const bindTries = 64

// bind is the value with one more flow, and with slot where it is expired or names old or a forgotten one.
func (v value) bind(old, slot uint16, now uint32) (value, bool) {
	if !v.vacant(now) && v.slot() != old && v.slot() != forgotten {
		slot = v.slot()
	}
	if v.flows() == 1<<16-1 {
		return valueOf(slot, v.flows(), now), false
	}
	return valueOf(slot, v.flows()+1, now), true
}

func (e *template) replace(old, v value) bool { return e.value.CompareAndSwap(uint64(old), uint64(v)) }

// finish makes a claim of the client the template with value v.
func (e *template) finish(c Client, claim, v value) bool {
	key := uint64(c)<<16 | uint64(uint16(claim))
	for k := e.key.Load(); k != key; k = e.key.Load() {
		if value(e.value.Load()) != claim {
			return false
		}
		e.key.CompareAndSwap(k, key)
	}
	return e.replace(claim, v)
}

// A search tells what was found for a client: its template; else the first claim of it; else a place to be had, in the
// line that has more of them; else nothing.
type search struct {
	found *template
	value value
	made  bool // it is the client's template
}

// search looks at all places of the client. Of its claims it leaves the first one, and none if there is a template. It
// answers false when others were at work on a claim that was to be given up. A template that has expired is the client's
// still: another lcore, whose clock has a tick to go, may be about to use it.
func (q *query) search(now uint32) (search, bool) {
	var made, claim, free search
	most, ok := 0, true
	for _, line := range q.lines {
		vacancies := 0
		for i := range line {
			e := &line[i]
			switch v := value(e.value.Load()); {
			case q.claims(v) && claim.found == nil:
				claim = search{e, v, false}
			case q.claims(v):
				ok = e.replace(v, 0) && ok
			case v.claimed():
			case v != 0 && q.owns(e):
				made = search{e, v, true}
			case v.vacant(now):
				if vacancies++; vacancies > most {
					most, free = vacancies, search{e, v, false}
				}
			}
		}
	}
	switch {
	case made.found != nil && claim.found != nil:
		return made, claim.found.replace(claim.value, 0) && ok
	case made.found != nil:
		return made, ok
	case claim.found != nil:
		return claim, ok
	}
	return free, ok
}

// Release lets a flow of the client go that Bind counted. After the last one the template stays for the given number of
// ticks.
func (t *Templates) Release(c Client, now, persistence uint32) {
	q := t.query(c)
	for {
		e, v := q.made(now)
		if v == 0 || v.flows() == 0 || e.replace(v, v.release(now+max(1, persistence))) {
			return
		}
	}
}

// release is the value with one flow less.
func (v value) release(expiry uint32) value {
	if v.flows() == 1 {
		return valueOf(v.slot(), 0, expiry)
	}
	return v - valueOf(0, 1, 0)
}

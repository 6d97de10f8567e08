package flowtable_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	. "turnout/flowtable"
)

func newTemplates(tb testing.TB, entries int) *Templates {
	tb.Helper()
	t, err := NewTemplates(entries)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := t.Close(); err != nil {
			tb.Error(err)
		}
	})
	return t
}

func TestClientOf(t *testing.T) {
	for _, test := range []struct {
		prefix uint8
		want   uint32
	}{{32, 0xc0a83987}, {31, 0xc0a83986}, {24, 0xc0a83900}, {1, 0x80000000}, {0, 0}} {
		c := ClientOf(7, 0xc0a83987, test.prefix)
		if c.Network() != test.want || c.Service() != 7 {
			t.Errorf("/%d: network %x of service %d, want %x of 7", test.prefix, c.Network(), c.Service(), test.want)
		}
	}
}

// A templateTwin is a map of what templates should be.
type templateTwin struct {
	*Templates
	made map[Client]*Template
	now  uint32
}

// TestTemplatesTwin runs random calls of one lcore and the management. Few enough clients that there is always room.
func TestTemplatesTwin(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		templates, err := NewTemplates(256)
		if err != nil {
			r.Fatal(err)
		}
		defer templates.Close()
		w := &templateTwin{templates, map[Client]*Template{}, rapid.SampledFrom([]uint32{0, 1000, 1<<31 - 20, 1<<32 - 20}).Draw(r, "now")}
		r.Repeat(map[string]func(*rapid.T){
			"bind":    w.bind,
			"release": w.release,
			"forget":  w.forget,
			"advance": func(r *rapid.T) { w.now += rapid.Uint32Range(1, 10).Draw(r, "ticks") },
			"":        w.check,
		})
	})
}

func (w *templateTwin) client(r *rapid.T) Client {
	return ClientOf(rapid.Uint16Range(0, 1).Draw(r, "service"), rapid.Uint32Range(0, 9).Draw(r, "address"), 32)
}

// find returns the twin's template of a client, or nil.
func (w *templateTwin) find(c Client) *Template {
	if m := w.made[c]; m != nil && (m.Flows > 0 || int32(w.now-m.Expiry) < 0) {
		return m
	}
	delete(w.made, c)
	return nil
}

func (w *templateTwin) bind(r *rapid.T) {
	c, slot := w.client(r), rapid.Uint16Range(0, 3).Draw(r, "slot")
	old := rapid.SampledFrom([]uint16{NoSlot, 0, 1, 2, 3}).Draw(r, "old")
	m := w.find(c)
	switch {
	case m == nil:
		m = &Template{Client: c, Slot: slot}
		w.made[c] = m
	case m.Slot == old || m.Slot == NoSlot:
		m.Slot = slot
	}
	m.Flows++
	if got, counted := w.Bind(c, old, slot, w.now); got != m.Slot || !counted {
		r.Fatalf("bind %x: got slot %d (%v), want %d", c, got, counted, m.Slot)
	}
	if got := w.Find(c, w.now); got != m.Slot {
		r.Fatalf("find %x: got slot %d, want %d", c, got, m.Slot)
	}
}

func (w *templateTwin) release(r *rapid.T) {
	c, persistence := w.client(r), rapid.Uint32Range(0, 12).Draw(r, "persistence")
	w.Release(c, w.now, persistence)
	m := w.find(c)
	if m == nil || m.Flows == 0 { // not one of Bind's: nothing happens
		return
	}
	if m.Flows--; m.Flows == 0 {
		m.Expiry = w.now + max(1, persistence)
	}
}

func (w *templateTwin) forget(r *rapid.T) {
	service, slot := rapid.Uint16Range(0, 1).Draw(r, "service"), rapid.Uint16Range(0, 3).Draw(r, "slot")
	w.Forget(service, slot)
	for c, m := range w.made {
		if c.Service() == service && m.Slot == slot {
			m.Slot = NoSlot
			if m.Flows == 0 {
				delete(w.made, c)
			}
		}
	}
}

func (w *templateTwin) check(r *rapid.T) {
	for c := range w.made {
		w.find(c)
	}
	n := 0
	for got := range w.All(w.now) {
		n++
		want := w.made[got.Client]
		if want != nil && want.Flows > 0 {
			got.Expiry = want.Expiry // means nothing yet
		}
		if want == nil || got != *want {
			r.Fatalf("at %d: listed %+v, want %+v", w.now, got, want)
		}
	}
	if n != len(w.made) || w.Entries(w.now) != n {
		r.Fatalf("%d templates are listed, %d counted, want %d", n, w.Entries(w.now), len(w.made))
	}
}

// TestTemplatesPromise fills templates with as many clients as they promise to have room for.
func TestTemplatesPromise(t *testing.T) {
	const entries = 1 << 16
	full := 0
	for seed := range 4 {
		templates := newTemplates(t, entries)
		for n := range uint32(entries) {
			if _, counted := templates.Bind(ClientOf(1, n*uint32(2*seed+1), 32), NoSlot, 1, 0); !counted {
				full++
			}
		}
	}
	t.Logf("%d of %d clients found no room", full, 4*entries)
	if most := 4 * entries / 10_000; full > most {
		t.Errorf("%d of %d clients found no room, want %d at most", full, 4*entries, most)
	}
}

func TestTemplatesFull(t *testing.T) {
	templates := newTemplates(t, 1)
	full := 0
	for n := range uint32(100) {
		c := ClientOf(1, n, 32)
		got, counted := templates.Bind(c, NoSlot, 5, 0)
		if counted != (got == 5) || !counted && got != NoSlot {
			t.Fatalf("got slot %d, counted %v", got, counted)
		}
		if !counted {
			full++
			templates.Release(c, 0, 0) // of a client that has no template
		}
	}
	if full != 92 || templates.Entries(0) != 8 {
		t.Errorf("%d of 100 clients found no room, %d templates; want 92 and 8", full, templates.Entries(0))
	}
}

// TestTemplateOfManyFlows has more flows than a template can count.
func TestTemplateOfManyFlows(t *testing.T) {
	templates, c := newTemplates(t, 1), ClientOf(1, 1, 32)
	const most = 1<<16 - 1
	for range most {
		if got, counted := templates.Bind(c, NoSlot, 5, 0); got != 5 || !counted {
			t.Fatalf("got slot %d, counted %v", got, counted)
		}
	}
	if got, counted := templates.Bind(c, NoSlot, 6, 0); got != 5 || counted {
		t.Errorf("got slot %d, counted %v; want 5, false", got, counted)
	}
	for range most {
		templates.Release(c, 10, 3)
	}
	if got := templates.Find(c, 12); got != 5 {
		t.Errorf("after the last flow: slot %d, want 5", got)
	}
	if got := templates.Find(c, 13); got != NoSlot {
		t.Errorf("after its time: slot %d, want none", got)
	}
}

func TestNewTemplatesRefuses(t *testing.T) {
	for _, entries := range []int{0, -1, 1<<26 + 1} {
		if _, err := NewTemplates(entries); err == nil || !strings.Contains(err.Error(), "must be 1 to 67108864") {
			t.Errorf("%d entries: got error %v", entries, err)
		}
	}
}

// A holding is what the lcores together hold of one client: how many flows, and on which real server.
type holding struct{ word atomic.Uint64 }

// add notes one more flow; false if the others are on another real server.
func (h *holding) add(slot uint16) bool {
	for {
		old := h.word.Load()
		if old>>16 != 0 && uint16(old) != slot {
			return false
		}
		if h.word.CompareAndSwap(old, (old>>16+1)<<16|uint64(slot)) {
			return true
		}
	}
}

func (h *holding) drop() { h.word.Add(^uint64(1<<16 - 1)) }

// TestTemplatesShared has several lcores begin and end flows of the same clients, each lcore with real servers of its own
// to choose, in templates so few that places become free and are taken all the time. While a client has flows, all of them
// must be on one real server.
func TestTemplatesShared(t *testing.T) {
	const (
		lcores  = 4
		clients = 60
		rounds  = 20_000
		held    = 3 // flows that an lcore has at a time
	)
	templates := newTemplates(t, 16)
	var holdings [clients]holding
	var clock, full atomic.Uint32
	client := func(n int) Client { return ClientOf(3, uint32(n)<<8, 24) }
	begin := func(n int, slot uint16) bool {
		got, counted := templates.Bind(client(n), NoSlot, slot, clock.Load())
		if !counted {
			full.Add(1)
		} else if !holdings[n].add(got) {
			t.Errorf("client %d has a flow on %d and others elsewhere", n, got)
		}
		return counted
	}
	end := func(n int) {
		holdings[n].drop()
		templates.Release(client(n), clock.Load(), 1)
	}
	var running sync.WaitGroup
	for id := range lcores {
		running.Go(func() {
			random := rand.New(rand.NewPCG(uint64(id), 1))
			var mine []int
			for round := range rounds {
				if n := random.IntN(clients); begin(n, uint16(id*1000+round%1000)) {
					mine = append(mine, n)
				}
				if len(mine) > held {
					end(mine[0])
					mine = mine[1:]
				}
				if round%8 == 0 {
					clock.Add(1)
				}
			}
			for _, n := range mine {
				end(n)
			}
		})
	}
	running.Wait()
	t.Logf("%d of %d flows found no room", full.Load(), lcores*rounds)
	for left := range templates.All(clock.Load()) {
		if left.Flows != 0 {
			t.Errorf("all flows have ended, but %+v has some", left)
		}
	}
	if got := templates.Entries(clock.Load() + 2); got != 0 {
		t.Errorf("%d templates are left, want none", got)
	}
}

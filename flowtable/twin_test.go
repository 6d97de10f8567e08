package flowtable_test

import (
	"testing"

	"pgregory.net/rapid"

	. "turnout/flowtable"
)

// A twin is a flow table that is plainly right: a map. It learns from Left what
// the table lost, and holds the table to it.
type twin struct {
	table *Table
	flows map[Key]Flow
	now   uint32
}

func TestTwin(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		entries := rapid.IntRange(1, 12).Draw(r, "entries")
		table, err := New(entries, [2]uint64{rapid.Uint64().Draw(r, "seed"), 1})
		if err != nil {
			r.Fatal(err)
		}
		defer table.Close()
		w := &twin{table: table, flows: make(map[Key]Flow), now: rapid.Uint32().Draw(r, "now")}
		r.Repeat(map[string]func(*rapid.T){
			"burst":   w.burst,
			"look up": w.lookupBurst,
			"remove":  w.remove,
			"advance": w.advance,
			"sweep":   w.sweep,
			"":        w.check,
		})
	})
}

// key draws from about four times as many keys as the table has entries.
func (w *twin) key(r *rapid.T) Key {
	return nthKey(uint32(rapid.IntRange(0, 4*w.table.Capacity()).Draw(r, "flow")))
}

func (w *twin) lookup(r *rapid.T, k Key) *Flow {
	f := w.table.Lookup(w.table.Hash(&k), &k, w.now)
	w.drain(r)
	want, ok := w.flows[k]
	if (f != nil) != ok || f != nil && *f != want {
		r.Fatalf("lookup %+v: got %+v, want %+v (%v)", k, f, want, ok)
	}
	if f != nil && f.Expired(w.now) {
		r.Fatalf("found expired %+v", *f)
	}
	return f
}

// lookupBurst looks several keys up at once, some of them twice.
func (w *twin) lookupBurst(r *rapid.T) {
	keys := make([]Key, rapid.IntRange(0, 64).Draw(r, "keys"))
	hashes, found := make([]uint64, len(keys)), make([]*Flow, len(keys))
	for i := range keys {
		keys[i] = w.key(r)
		hashes[i] = w.table.Hash(&keys[i])
	}
	w.table.LookupBurst(hashes, keys, w.now, found)
	w.drain(r)
	for i, k := range keys {
		want, ok := w.flows[k]
		if (found[i] != nil) != ok || ok && *found[i] != want {
			r.Fatalf("look up %+v in a burst: got %+v, want %+v (%v)", k, found[i], want, ok)
		}
	}
}

func (w *twin) burst(r *rapid.T) {
	for range rapid.IntRange(1, 2*w.table.Capacity()).Draw(r, "packets") {
		w.packet(r)
	}
}

func (w *twin) packet(r *rapid.T) {
	k := w.key(r)
	f := w.lookup(r, k)
	if f == nil {
		f = w.insert(r, k)
	}
	if f == nil {
		return
	}
	f.Expiry = w.now + uint32(rapid.IntRange(1, 50).Draw(r, "life"))
	f.State = State(rapid.IntRange(int(SynReceived), int(UDP)).Draw(r, "state"))
	f.Slot++
	w.flows[k] = *f
}

func (w *twin) insert(r *rapid.T, k Key) *Flow {
	f := w.table.Insert(w.table.Hash(&k), &k, w.now)
	w.drain(r)
	if f == nil {
		if n := w.lasting(); n < 2*Slots {
			r.Fatalf("no room for %+v with only %d flows that must stay", k, n)
		}
		return nil
	}
	if *f != (Flow{Client: k.Client, ClientPort: k.ClientPort, VIPPort: k.VIPPort, Service: k.Service}) {
		r.Fatalf("inserted %+v for %+v", *f, k)
	}
	w.flows[k] = *f
	return f
}

// lasting counts the flows that an insert may neither expire nor evict.
func (w *twin) lasting() (n int) {
	for _, f := range w.flows {
		if !f.Expired(w.now) && (f.State == Established || f.State == UDP) {
			n++
		}
	}
	return n
}

func (w *twin) remove(r *rapid.T) {
	k := w.key(r)
	if f := w.lookup(r, k); f != nil {
		w.table.Remove(f)
		delete(w.flows, k)
	}
}

func (w *twin) advance(r *rapid.T) {
	w.now += uint32(rapid.IntRange(0, 30).Draw(r, "ticks"))
}

func (w *twin) sweep(r *rapid.T) {
	w.table.Sweep(w.now, w.table.Capacity()+1)
	w.drain(r)
	for _, f := range w.flows {
		if f.Expired(w.now) {
			r.Fatalf("not swept at %d: %+v", w.now, f)
		}
	}
}

// drain takes what left out of the twin, where it must be, and for a reason.
func (w *twin) drain(r *rapid.T) {
	for _, f := range w.table.Left() {
		if w.flows[f.Key()] != f {
			r.Fatalf("left %+v, had %+v", f, w.flows[f.Key()])
		}
		if !f.Expired(w.now) && (f.State == Established || f.State == UDP) {
			r.Fatalf("left before its time: %+v", f)
		}
		delete(w.flows, f.Key())
	}
	w.table.ClearLeft()
}

// check lists the table, which must be the twin, and looks at its inside.
func (w *twin) check(r *rapid.T) {
	out := make([]Flow, 4*Slots*w.table.Capacity())
	n, _, done := w.table.CopyFrom(0, 64, out)
	if !done || n != len(w.flows) {
		r.Fatalf("%d flows listed, want %d", n, len(w.flows))
	}
	for _, f := range out[:n] {
		if w.flows[f.Key()] != f {
			r.Fatalf("listed %+v, want %+v", f, w.flows[f.Key()])
		}
	}
	if err := w.table.Check(); err != nil {
		r.Fatal(err)
	}
}

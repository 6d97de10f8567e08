package lcore

import "turnout/flowtable"

// Step makes one turn of the loop, as Run does.
func (w *Worker) Step() { w.turn() }

// A Lookup is a lookup.
type Lookup = lookup

func NewLookup(n int) Lookup                              { return newLookup(n) }
func (l *Lookup) Find(key uint64) (value uint32, ok bool) { return l.find(key) }
func (l *Lookup) Put(key uint64, value uint32)            { l.put(key, value) }
func (l *Lookup) Cells() int                              { return len(l.cells) }

// A Clock is a clock.
type Clock = clock

func NewClock(units, hz uint64) Clock  { return newClock(units, hz) }
func (c Clock) Read(tsc uint64) uint64 { return c.read(tsc) }

// Limits are limits.
type Limits = limits

func (l *Limits) Refill(now uint32)    { l.refill(now) }
func (l *Limits) Take(k PuntKind) bool { return l.take(k) }

// PuntsPerSecond is the rate of a kind.
func PuntsPerSecond(k PuntKind) uint32 { return puntsPerSecond[k] }

// SkipRing pretends that n frames went through an empty ring.
func (r *Ring) SkipRing(n uint32) { r.head.tail, r.head.taken = n, n }

// FlowTable is the worker's own.
func (w *Worker) FlowTable() *flowtable.Table { return w.flows }

// Kept is what the scratch worker kept.
func (e *Explainer) Kept(r Reason) []KeptFrame { return e.worker.Kept(r) }

// HandshakeBucket is where a time in milliseconds is counted.
func HandshakeBucket(took uint16) uint { return handshakeBucket(took) }

// KeptSlotsBytes is the size of the black box.
const KeptSlotsBytes = keptSlotsBytes

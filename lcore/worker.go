package lcore

import (
	"errors"
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"

	"turnout/flowtable"
)

// Config is what a worker is made of.
type Config struct {
	Queue     Queue
	Punt      *Ring // frames for the management
	Burst     *Burst
	TSCHz     uint64               // cycles of the TSC in a second
	Flows     int                  // live flows that the flow table holds
	FlowKey   [2]uint64            // keys the flow table's hash; random per process
	FirstPick uint32               // where rr and wrr begin: lcores that differ do not all begin with the same real server
	Templates *flowtable.Templates // of all lcores; nil: no service has persistence
}

// Worker forwards the frames of one queue on one lcore. New, Run and Close are called on that lcore; Publish, Stop,
// Ask, and the readers of counters from anywhere.
type Worker struct {
	snapshot atomic.Pointer[Snapshot]
	mailbox  atomic.Pointer[Request]
	capture  atomic.Pointer[Capture]
	stop     atomic.Bool

	queue     Queue
	burst     *Burst
	punts     *Ring
	flows     *flowtable.Table
	templates *flowtable.Templates
	counters  *Counters
	reals     *[MaxReals]RealCounters
	cursors   *[1 << 16]uint32 // by service: where rr and wrr go on
	limits    limits
	box       blackBox
	ticks     clock
	stopwatch clock // counts milliseconds

	handshakes *[MaxReals]Handshakes

	longSleep uint64 // a turn of this many TSC cycles has slept long: half a millisecond
	slept     uint   // how often

	// What the stages hand on for the current burst.
	now     uint32 // tick of the flow table's clock
	millis  uint64 // the same in milliseconds
	pending int    // how many of the frames are flows of a virtual service
	keys    [BurstSize]flowtable.Key
	hashes  [BurstSize]uint64 // of the keys
	found   [BurstSize]*flowtable.Flow
	pend    [BurstSize]pending // the pending flows
}

// New makes a worker and its flow table. Its memory is taken on the NUMA node of the calling thread.
func New(c Config) (*Worker, error) {
	w := &Worker{queue: c.Queue, burst: c.Burst, punts: c.Punt, templates: c.Templates, longSleep: c.TSCHz / 2000}
	w.ticks, w.stopwatch = newClock(flowtable.TicksPerSecond, c.TSCHz), newClock(1000, c.TSCHz)
	w.snapshot.Store(Compile(&Spec{}))
	var err error
	if w.flows, err = flowtable.New(c.Flows, c.FlowKey); err != nil {
		return nil, err
	}
	if err := w.mapCounters(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	for i := range w.cursors {
		w.cursors[i] = c.FirstPick
	}
	return w, nil
}

func (w *Worker) mapCounters() error {
	mem, err := mapMemory(countersBytes)
	if err != nil {
		return err
	}
	w.counters = (*Counters)(mem)
	if mem, err = mapMemory(int(unsafe.Sizeof(*w.reals))); err != nil {
		return err
	}
	w.reals = (*[MaxReals]RealCounters)(mem)
	if mem, err = mapMemory(int(unsafe.Sizeof(*w.cursors))); err != nil {
		return err
	}
	w.cursors = (*[1 << 16]uint32)(mem)
	if mem, err = mapMemory(keptSlotsBytes); err != nil {
		return err
	}
	w.box.slots = (*keptSlots)(mem)
	if mem, err = mapMemory(int(unsafe.Sizeof(*w.handshakes))); err != nil {
		return err
	}
	w.handshakes = (*[MaxReals]Handshakes)(mem)
	return nil
}

// Close gives the worker's memory back. Run must have returned, and nobody may read its counters afterwards.
func (w *Worker) Close() error {
	errs := []error{w.flows.Close()}
	if w.counters != nil {
		errs = append(errs, unmapMemory(unsafe.Pointer(w.counters), countersBytes))
	}
	if w.reals != nil {
		errs = append(errs, unmapMemory(unsafe.Pointer(w.reals), int(unsafe.Sizeof(*w.reals))))
	}
	if w.cursors != nil {
		errs = append(errs, unmapMemory(unsafe.Pointer(w.cursors), int(unsafe.Sizeof(*w.cursors))))
	}
	if w.box.slots != nil {
		errs = append(errs, unmapMemory(unsafe.Pointer(w.box.slots), keptSlotsBytes))
	}
	if w.handshakes != nil {
		errs = append(errs, unmapMemory(unsafe.Pointer(w.handshakes), int(unsafe.Sizeof(*w.handshakes))))
	}
	w.counters, w.reals, w.cursors, w.box.slots, w.handshakes = nil, nil, nil, nil, nil
	return errors.Join(errs...)
}

// Run polls until Stop. The packet's way through a turn is told in doc.go.
func (w *Worker) Run() {
	for !w.stop.Load() {
		w.turn()
		w.yield()
	}
	w.finish()
}

// sleepsPerYield is how many long sleeps go by before the goroutine lets the Go scheduler look at it, in less than the
// 10 ms after which the runtime would take its processor away while it sleeps, and then watch it every 20 us.
const sleepsPerYield = 4

// yield keeps the Go runtime's monitor thread asleep while the lcore sleeps. Without it that thread took 5 % of a CPU.
func (w *Worker) yield() {
	if w.burst.Count > 0 || w.burst.TSC-w.burst.Entered < w.longSleep {
		return
	}
	if w.slept++; w.slept%sleepsPerYield == 0 {
		runtime.Gosched()
	}
}

// turn commits the burst before, receives one and decides it.
func (w *Worker) turn() {
	b, last := w.burst, w.burst.TSC
	w.queue.Turn(b)
	s := w.snapshot.Load()
	w.now, w.millis = uint32(w.ticks.read(b.TSC)), w.stopwatch.read(b.TSC)
	w.box.refill(w.now)
	if b.Count > 0 {
		w.forward(s)
	}
	w.tidy(s)
	w.count(s, last)
}

// finish sends off the last burst and receives no other, so that the books balance.
func (w *Worker) finish() {
	w.burst.Last = 1
	w.queue.Turn(w.burst)
}

// Stop makes Run return after the turn it is in.
func (w *Worker) Stop() { w.stop.Store(true) }

// Publish puts a snapshot in force from the next burst on.
func (w *Worker) Publish(s *Snapshot) { w.snapshot.Store(s) }

// tidy does what does not wait for traffic: expiry, the counts of flows that left, the mailbox.
func (w *Worker) tidy(s *Snapshot) {
	w.sweep(s)
	for i := 0; i < idleSweeps && w.burst.Count == 0; i++ {
		w.sweep(s)
	}
	w.burst.Awake = 0
	if r := w.mailbox.Load(); r != nil {
		w.answer(r)
		w.burst.Awake = 1
	}
}

// idleSweeps is how many times more an lcore sweeps in a turn that brought nothing: it makes few turns while it sleeps.
const idleSweeps = 15

// sweep looks at the next buckets of the flow table and takes the flows that left it out of the counts.
func (w *Worker) sweep(s *Snapshot) {
	if budget := w.flows.SweepBudget(w.now); budget > 0 {
		w.flows.Sweep(w.now, budget)
	}
	left := w.flows.Left()
	for i := range left {
		w.leave(s, &left[i])
	}
	w.flows.ClearLeft()
}

// count publishes what the turn did. last is the TSC of the turn before.
func (w *Worker) count(s *Snapshot, last uint64) {
	c, b := w.counters, w.burst
	c.Polls++
	c.BurstSizes[bits.Len32(b.Count)&(BurstSizeBuckets-1)]++
	if last != 0 {
		c.Gaps[min(bits.Len64(b.Entered-last), GapBuckets-1)]++
		c.Cycles += b.TSC - last
	}
	if b.Count == 0 {
		c.EmptyPolls++
	} else if last != 0 {
		c.BusyCycles += b.TSC - last
	}
	c.Epoch = s.epoch
	c.Tick = uint64(w.now)
	c.Flows = w.flows.Stats
}

// ReadCounters returns a copy of the lcore's counters.
func (w *Worker) ReadCounters() Counters { return readWords(w.counters) }

// ReadPort returns a copy of what the worker's queue counted.
func (w *Worker) ReadPort() PortCounters { return readWords(&w.burst.Port) }

// ReadReal returns a copy of the counters of one real server of one service, by its RealSpec.Counter.
func (w *Worker) ReadReal(counter uint32) RealCounters { return readWords(&w.reals[counter]) }

// ReadHandshakes returns a copy of what is counted, besides, of one real server's handshakes.
func (w *Worker) ReadHandshakes(counter uint32) Handshakes { return readWords(&w.handshakes[counter]) }

// FlowCapacity is the number of live flows that the flow table promises to hold.
func (w *Worker) FlowCapacity() int { return w.flows.Capacity() }

// FlowBacking tells what memory the flow table lies in: hugetlb, thp or pages.
func (w *Worker) FlowBacking() string { return w.flows.Backing() }

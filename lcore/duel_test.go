package lcore_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/port/memory"
)

// A duel runs a worker and its twin over the same frames, snapshots and time. Its errors tell where they differ.
type duel struct {
	*bench
	*twin
	received, bytes uint64
}

func newDuel(queue *memory.Queue, flows int, spec *lcore.Spec) (*duel, error) {
	b, err := openBench(queue, flows, spec)
	if err != nil {
		return nil, err
	}
	d := &duel{bench: b, twin: newTwin(spec)}
	d.queue.Step = 0 // the twin knows no turns
	d.pass(0)
	return d, nil
}

// pass lets ticks go by.
func (d *duel) pass(ticks uint32) {
	d.queue.Now += uint64(ticks) * tscHz / flowtable.TicksPerSecond
	d.now, d.millis = uint32(d.queue.Now*flowtable.TicksPerSecond/tscHz), d.queue.Now*1000/tscHz
}

func (d *duel) publish(spec *lcore.Spec) {
	d.spec = forked(spec)
	d.Publish(lcore.Compile(spec))
}

// send gives frames to both and compares what becomes of each.
func (d *duel) send(frames ...[]byte) error {
	d.queue.Out = nil
	decisions := d.run(frames...)
	if len(decisions) != len(frames) {
		return fmt.Errorf("%d frames were decided, want %d", len(decisions), len(frames))
	}
	var sent [][]byte
	var punts []puntedFrame
	for i, f := range frames {
		want := d.decide(f)
		d.count(f, want)
		d.received, d.bytes = d.received+1, d.bytes+uint64(len(f))
		after := f
		if want.verdict == lcore.Forward {
			after = rewritten(f, want.real.MAC)
			sent = append(sent, after)
		}
		if got := decisions[i]; got.Verdict != want.verdict || !bytes.Equal(got.After, after) {
			return fmt.Errorf("frame % x: got %s and % x; want %+v and % x", f, verdicts[got.Verdict], got.After, want, after)
		}
		if want.verdict == lcore.Punt {
			punts = append(punts, puntedFrame{want.kind, f})
		}
	}
	if err := d.comparePunts(punts); err != nil {
		return err
	}
	if len(d.queue.Out) != len(sent) {
		return fmt.Errorf("%d frames were sent, want %d", len(d.queue.Out), len(sent))
	}
	for i, f := range d.queue.Out {
		if !bytes.Equal(f, sent[i]) {
			return fmt.Errorf("sent % x, want % x", f, sent[i])
		}
	}
	return d.compareCounters()
}

type puntedFrame struct {
	kind  lcore.PuntKind
	frame []byte
}

// comparePunts empties the punt ring. The order of frames counts within each kind: a burst's stages punt one after the other.
func (d *duel) comparePunts(want []puntedFrame) error {
	var got []puntedFrame
	for buf := make([]byte, lcore.RingFrameMax); d.punts.Len() > 0; {
		n, kind, _ := d.punts.Take(buf)
		got = append(got, puntedFrame{lcore.PuntKind(kind), bytes.Clone(buf[:n])})
	}
	byKind := func(a, b puntedFrame) int { return cmp.Compare(a.kind, b.kind) }
	slices.SortStableFunc(got, byKind)
	slices.SortStableFunc(want, byKind)
	same := func(a, b puntedFrame) bool { return a.kind == b.kind && bytes.Equal(a.frame, b.frame) }
	if !slices.EqualFunc(got, want, same) {
		return fmt.Errorf("punted %v, want %v", got, want)
	}
	return nil
}

func (d *duel) compareCounters() error {
	c := d.ReadCounters()
	if c.Drops != d.drops || c.Punted != d.punted {
		return fmt.Errorf("drops %d and punts %d, want %d and %d", c.Drops, c.Punted, d.drops, d.punted)
	}
	if c.RxPackets != d.received || c.RxBytes != d.bytes {
		return fmt.Errorf("received %d frames, %d bytes; want %d and %d", c.RxPackets, c.RxBytes, d.received, d.bytes)
	}
	if err := d.balance(); err != nil {
		return err
	}
	for counter, want := range d.reals {
		got := d.ReadReal(counter)
		got.Active, got.Inactive, got.Unanswered = 0, 0, 0 // compareFlows looks at them
		if got != *want {
			return fmt.Errorf("real server %s: counted %+v, want %+v", letter(int(counter)), got, *want)
		}
		if got := d.ReadHandshakes(counter); got != *d.handshakes[counter] {
			return fmt.Errorf("real server %s: handshakes %+v, want %+v", letter(int(counter)), got, *d.handshakes[counter])
		}
	}
	return nil
}

// balance checks that every frame received came to exactly one end, and that those sent were received.
func (b *bench) balance() error {
	c, p := b.ReadCounters(), b.ReadPort()
	in, out := c.RxPackets+p.Injected+p.Generated, p.TxPackets+p.TxDropped
	for _, n := range c.Drops {
		out += n
	}
	for _, n := range c.Punted {
		out += n
	}
	if in != out {
		return fmt.Errorf("the books do not balance: %d in, %d out: %+v, %+v", in, out, c, p)
	}
	return nil
}

// compareFlows lists the worker's flows and compares them with the twin's; flows that expired may still be there, and
// then keep their clients' templates. The flow counts of the real servers must be those of the list.
func (d *duel) compareFlows() error {
	alive, held, there := 0, map[uint32]tally{}, map[flowID]bool{}
	waiting := map[uint32]uint64{} // for the client's ACK
	for _, f := range d.listed() {
		id := flowID{f.Service, address(f.Client), f.ClientPort, f.VIPPort}
		there[id] = true
		counter := d.serviceByID(f.Service).Reals[f.Slot].Counter
		count := held[counter]
		if f.State == flowtable.Established {
			count.active++
		} else {
			count.inactive++
		}
		held[counter] = count
		if f.State == flowtable.SynReceived {
			waiting[counter]++
		}
		want := d.flows[id]
		if f.Expired(d.now) {
			continue
		}
		alive++
		if want == nil || *want != (twinFlow{f.Slot, f.State, f.Expiry, want.began, f.Pinned}) || want.start() != f.Start {
			return fmt.Errorf("flow %+v: got %+v, want %+v", id, f, want)
		}
	}
	for id, f := range d.flows {
		if int32(d.now-f.expiry) < 0 {
			alive--
		} else if !there[id] {
			d.end(id)
		}
	}
	if alive != 0 {
		return fmt.Errorf("%d flows too many are held", alive)
	}
	for counter := range d.reals {
		got := d.ReadReal(counter)
		if want := held[counter]; got.Active != want.active || got.Inactive != want.inactive {
			return fmt.Errorf("real server %s: counted %d active and %d inactive flows, holds %+v", letter(int(counter)), got.Active, got.Inactive, want)
		}
		answered := uint64(0)
		for _, n := range d.ReadHandshakes(counter).Times {
			answered += n
		}
		if got.Syns != answered+got.Unanswered+waiting[counter] {
			return fmt.Errorf("real server %s: %d handshakes began, %d were answered, %d not, %d wait", letter(int(counter)), got.Syns, answered, got.Unanswered, waiting[counter])
		}
	}
	return d.compareTemplates()
}

// compareTemplates compares the templates that are not expired with the twin's.
func (d *duel) compareTemplates() error {
	for c, m := range d.made {
		if m.Flows == 0 && int32(d.now-m.Expiry) >= 0 {
			delete(d.made, c)
		}
	}
	n := 0
	for got := range d.templates.All(d.now) {
		n++
		want := d.made[got.Client]
		if want == nil || got.Slot != want.Slot || got.Flows != want.Flows || got.Flows == 0 && got.Expiry != want.Expiry {
			return fmt.Errorf("template %+v, want %+v", got, want)
		}
	}
	if n != len(d.made) {
		return fmt.Errorf("%d templates, want %d", n, len(d.made))
	}
	return nil
}

// listed copies the flow table between two turns.
func (b *bench) listed() []flowtable.Flow {
	out := make([]flowtable.Flow, 4*b.FlowCapacity())
	n := 0
	for cursor, done := uint64(0), false; !done; {
		var copied int
		copied, cursor, done = b.FlowTable().CopyFrom(cursor, 64, out[n:])
		n += copied
	}
	return out[:n]
}

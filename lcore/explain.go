package lcore

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"unsafe"

	"turnout/flowtable"
	"turnout/lcore/frame"
	"turnout/sched"
)

// Tuple names an IPv4 flow as a packet of the client's does. Addresses are big-endian values: 10.0.0.1 is 0x0a000001.
type Tuple struct {
	Client, VIP         uint32
	ClientPort, VIPPort uint16
	Protocol            uint8
}

// Standing is all that an lcore's decision on a packet of a tuple depends on, as it stands between two bursts.
type Standing struct {
	Known bool           // the flow table holds the flow
	Flow  flowtable.Flow // if Known

	snapshot *Snapshot
	now      uint32
	millis   uint64
	cursor   uint32
	template uint16 // slot that the template of the flow's client names, or flowtable.NoSlot
}

// Now is the tick at which things stood so.
func (st *Standing) Now() uint32 { return st.now }

// Explanation is what would become of a packet, and by what.
type Explanation struct {
	Verdict Verdict
	Reason  Reason   // of Drop
	Kind    PuntKind // of Punt

	Service int // its id; -1: the packet is for none
	Slot    int // the real server's in the service; -1: it gets none
	MAC     frame.MAC

	Hash       uint64 // the packet's keyed hash
	Position   int    // where it falls in the service's table
	Positions  int    // of the table; 0: there is no table
	BySequence bool   // new flows are scheduled in turns, not by the hash

	Rule  Rule
	After flowtable.Flow // the flow's entry after the packet, if Remembered
	// Remembered says whether the flow table holds the flow after the packet.
	Remembered bool
}

// Rule says what decided on the real server.
type Rule uint8

// The rules.
const (
	RuleNone        Rule = iota // nothing: the packet has no real server
	RuleKnown                   // the flow has one
	RuleScheduled               // the flow is new
	RuleReopened                // a SYN opens a new connection with the ports of one that was closed
	RuleRescheduled             // the flow's real server is gone
	RulePersistence             // the client's template: the flow is new, or another real server is needed
	RuleHash                    // the hash: the flow is not remembered
)

var ruleNames = [...]string{
	RuleNone: "none", RuleKnown: "flow_table", RuleScheduled: "scheduled", RuleReopened: "reopened", RuleRescheduled: "rescheduled",
	RulePersistence: "persistence", RuleHash: "hash",
}

// String is the rule's name in the API.
func (r Rule) String() string { return ruleNames[r] }

// stand notes how things stand for the tuple that a request asks for.
func (w *Worker) stand(r *Request) {
	s := w.snapshot.Load()
	r.Standing.snapshot, r.Standing.now, r.Standing.millis = s, w.now, w.millis
	t := r.Tuple
	id, ok := s.find(t.VIP, t.Protocol, t.VIPPort)
	if !ok {
		return
	}
	key := t.key(uint16(id))
	r.Standing.cursor, r.Standing.template = w.cursors[key.Service], w.template(&s.services[id], &key)
	if f := w.flows.Lookup(w.flows.Hash(&key), &key, w.now); f != nil {
		r.Standing.Known, r.Standing.Flow = true, *f
	}
}

func (t *Tuple) key(service uint16) flowtable.Key {
	return flowtable.Key{VIPPort: t.VIPPort, ClientPort: t.ClientPort, Client: t.Client, Service: service}
}

// Explainer tells what an lcore would do with a packet, by the lcore's own code: it has a worker that polls nothing, with a
// flow table that holds the one flow in question. It is for one goroutine at a time.
type Explainer struct {
	worker *Worker
	burst  *Burst
	punts  *Ring
	frame  unsafe.Pointer

	templates *flowtable.Templates
}

const (
	explainFlows = 64
	frameBytes   = 2048
)

// NewExplainer makes an Explainer; Close gives its memory back.
func NewExplainer(tscHz uint64) (e *Explainer, err error) {
	e = &Explainer{}
	if e.burst, err = NewBurst(); err != nil {
		return nil, err
	}
	if e.punts, err = NewRing(2); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if e.frame, err = mapMemory(frameBytes); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if e.templates, err = flowtable.NewTemplates(1); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	e.worker, err = New(Config{Punt: e.punts, Burst: e.burst, TSCHz: tscHz, Flows: explainFlows, Templates: e.templates})
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Close gives the memory back.
func (e *Explainer) Close() error {
	errs := []error{e.burst.Free()}
	if e.punts != nil {
		errs = append(errs, e.punts.Close())
	}
	if e.frame != nil {
		errs = append(errs, unmapMemory(e.frame, frameBytes))
	}
	if e.worker != nil {
		errs = append(errs, e.worker.Close())
	}
	if e.templates != nil {
		errs = append(errs, e.templates.Close())
	}
	return errors.Join(errs...)
}

// Explain tells what the lcore whose standing is given would do with a packet of that tuple, with these TCP flags, from a
// router whose MAC is nobody's. What is limited by rate is taken to be under its limit.
func (e *Explainer) Explain(t *Tuple, flags uint8, st *Standing) Explanation {
	w, b := e.worker, e.burst
	*w.counters = Counters{}
	w.now, w.millis, w.limits = st.now, st.millis, limits{}
	w.limits.refill(st.now - flowtable.TicksPerSecond) // full
	id, ok := st.snapshot.find(t.VIP, t.Protocol, t.VIPPort)
	s := st.snapshot.forked(int(id))
	b.Count, b.Frames[0] = 1, e.frame
	b.Lengths[0] = e.build(t, flags, s.portMAC)
	key := t.key(uint16(id))
	if ok {
		w.cursors[key.Service] = st.cursor
		e.recall(s, &key, st)
	}
	w.forward(s)
	x := e.told(s)
	if ok {
		e.toldFlow(&x, s, &key, flags, st)
	}
	e.forget(&key)
	return x
}

// recall puts a copy of the flow into the table, and one of its client's template beside it.
func (e *Explainer) recall(s *Snapshot, key *flowtable.Key, st *Standing) {
	if st.template != flowtable.NoSlot {
		client := flowtable.ClientOf(key.Service, key.Client, s.services[key.Service].prefix)
		e.templates.Bind(client, flowtable.NoSlot, st.template, st.now)
	}
	if !st.Known {
		return
	}
	if f := e.worker.flows.Insert(e.worker.flows.Hash(key), key, st.now); f != nil {
		*f = st.Flow
	}
}

// forget empties the flow table, the templates and the ring.
func (e *Explainer) forget(key *flowtable.Key) {
	flows := e.worker.flows
	if f := flows.Lookup(flows.Hash(key), key, e.worker.now); f != nil {
		flows.Remove(f)
	}
	flows.ClearLeft()
	e.templates.Reset()
	for _, _, ok := e.punts.Take(nil); ok; _, _, ok = e.punts.Take(nil) {
	}
}

// told is what the stages have left behind.
func (e *Explainer) told(s *Snapshot) Explanation {
	w := e.worker
	x := Explanation{Verdict: e.burst.Verdicts[0], Service: -1, Slot: -1}
	for reason, n := range w.counters.Drops {
		if n > 0 {
			x.Reason = Reason(reason)
		}
	}
	for kind, n := range w.counters.Punted {
		if n > 0 {
			x.Kind = PuntKind(kind)
		}
	}
	if w.pending == 0 {
		return x
	}
	key := &w.keys[0]
	svc := &s.services[key.Service]
	x.Service = int(key.Service)
	table := svc.table()
	x.Hash = packetHash(s, svc, key)
	x.Position, x.Positions, x.BySequence = table.Index(x.Hash), table.Len(), table.BySequence()
	if at := w.pend[0].real; at <= someReal {
		x.Slot = int(at - svc.first)
		copy(x.MAC[:], s.reals[at].macs[:])
	}
	return x
}

// toldFlow compares the flow's entry with what it was.
func (e *Explainer) toldFlow(x *Explanation, s *Snapshot, key *flowtable.Key, flags uint8, st *Standing) {
	flows := e.worker.flows
	f := flows.Lookup(flows.Hash(key), key, e.worker.now)
	if f != nil {
		x.After, x.Remembered = *f, true
	}
	switch {
	case x.Slot < 0:
	case st.Known && !reopens(&st.Flow, flags) && !s.gone(&st.Flow):
		x.Rule = RuleKnown
	case x.Slot == int(st.template):
		x.Rule = RulePersistence
	case f == nil && s.services[key.Service].manners.has(isOnePacket):
		x.Rule = RuleScheduled
	case f == nil:
		x.Rule = RuleHash
	case !st.Known:
		x.Rule = RuleScheduled
	case reopens(&st.Flow, flags):
		x.Rule = RuleReopened
	default:
		x.Rule = RuleRescheduled
	}
}

// forked is the snapshot with a table of its own for the service of that id: looking ahead must not take a turn.
func (s *Snapshot) forked(id int) *Snapshot {
	if id >= len(s.services) {
		return s
	}
	fork := *s
	fork.services = slices.Clone(s.services)
	holder := new(atomic.Pointer[sched.Table])
	holder.Store(s.services[id].table().Fork())
	fork.services[id].holder = holder
	return &fork
}

// gone says whether a flow's real server gets nothing any more.
func (s *Snapshot) gone(f *flowtable.Flow) bool {
	svc := &s.services[f.Service]
	return uint32(f.Slot) >= svc.count || s.reals[svc.first+uint32(f.Slot)].state == RealGone
}

// build writes a packet of the tuple and returns the length of its frame. Its source MAC is zero.
func (e *Explainer) build(t *Tuple, flags uint8, portMAC frame.MAC) uint32 {
	const l4, end = frame.EthernetLen + frame.IPv4Len, frame.EthernetLen + frame.IPv4Len + frame.TCPLen
	f := unsafe.Slice((*byte)(e.frame), end)
	clear(f)
	copy(f, portMAC[:])
	binary.BigEndian.PutUint16(f[frame.EthernetLen-2:], frame.EtherTypeIPv4)
	ip := f[frame.EthernetLen:]
	ip[0], ip[8], ip[9] = 0x45, 64, t.Protocol // version and header length; TTL
	binary.BigEndian.PutUint16(ip[2:], end-frame.EthernetLen)
	binary.BigEndian.PutUint32(ip[12:], t.Client)
	binary.BigEndian.PutUint32(ip[16:], t.VIP)
	binary.BigEndian.PutUint16(f[l4:], t.ClientPort)
	binary.BigEndian.PutUint16(f[l4+2:], t.VIPPort)
	f[l4+13] = flags
	return end
}

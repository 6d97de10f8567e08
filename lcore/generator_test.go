package lcore_test

import (
	"encoding/binary"
	"syscall"
	"testing"
	"unsafe"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/sched"
)

// A generator is a queue that makes a burst of frames out of nothing, allocates nothing and forgets what is sent.
type generator struct {
	burst []byte // BurstSize frames of frameRoom bytes
	next  uint32 // number of the next frame
	flows uint32 // that many clients send in turn, a power of two
	now   uint64
	step  uint64 // cycles a turn takes
	model []byte
}

const frameRoom = 2048

// newGenerator makes frames like model, of so many flows; their client addresses and ports differ.
func newGenerator(t testing.TB, model []byte, flows uint32) *generator {
	t.Helper()
	mem, err := syscall.Mmap(-1, 0, lcore.BurstSize*frameRoom, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	for i := range lcore.BurstSize {
		copy(mem[i*frameRoom:], model)
	}
	return &generator{burst: mem, flows: flows, now: tscHz, step: 5000, model: model}
}

// Turn is that of lcore.Queue.
func (g *generator) Turn(b *lcore.Burst) {
	b.Entered = g.now
	g.now += g.step
	b.TSC = g.now
	for i := range lcore.BurstSize {
		f := g.burst[i*frameRoom:][:frameRoom]
		copy(f[:12], g.model)
		n := g.next & (g.flows - 1)
		binary.BigEndian.PutUint32(f[atSource:], 0x0a000000+n>>8)
		f[atL4+1] = byte(n)
		g.next++
		b.Frames[i], b.Lengths[i] = unsafe.Pointer(&f[0]), uint32(len(g.model))
	}
	b.Count = lcore.BurstSize
}

// newWorker makes a worker over any queue.
func newWorker(t testing.TB, queue lcore.Queue, flows int, s *lcore.Spec) (*lcore.Worker, *lcore.Ring) {
	t.Helper()
	punts := newRing(t, 1024)
	burst, err := lcore.NewBurst()
	if err != nil {
		t.Fatal(err)
	}
	templates, err := flowtable.NewTemplates(64)
	if err != nil {
		t.Fatal(err)
	}
	w, err := lcore.New(lcore.Config{Queue: queue, Punt: punts, Burst: burst, TSCHz: tscHz, Flows: flows, FlowKey: [2]uint64{3, 4}, Templates: templates})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, err := range []error{w.Close(), burst.Free(), templates.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	w.Publish(lcore.Compile(s))
	return w, punts
}

// TestTurnsAllocateNothing runs whole turns of every kind of work.
func TestTurnsAllocateNothing(t *testing.T) {
	arpRequest, segment := arp(vip), tcp(t, 40000, 80, "A")
	persistentSegment, spec := tcp(t, 40000, 81, "S"), town(t)
	svc := service(t, 9, vip, 6, 81, 20, up, up)
	svc.Persistence, svc.PersistencePrefix = 16, 32
	spec.Services = append(spec.Services, svc)
	for _, c := range []struct {
		name  string
		model []byte
		flows uint32
		step  uint64 // cycles a turn takes
		want  func(c lcore.Counters) bool
	}{
		{"new flows of persistent clients", persistentSegment, 1 << 31, tscHz, func(c lcore.Counters) bool {
			return c.Flows.Expirations > 5_000 && c.Unpinned > 500 && c.Unpinned < 30_000
		}},
		{"known flows", segment, 1 << 10, 5000, func(c lcore.Counters) bool { return c.Flows.Inserts == 1<<10 }},
		{"new flows", segment, 1 << 31, 5000, func(c lcore.Counters) bool { return c.Flows.Inserts > 30_000 }},
		{"flows that expire", segment, 1 << 31, 10 * tscHz, func(c lcore.Counters) bool { return c.Flows.Expirations > 5_000 }},
		{"a full table", segment, 1 << 31, 0, func(c lcore.Counters) bool { return c.Flows.Full > 10_000 }},
		{"punts", arpRequest, 1, tscHz, func(c lcore.Counters) bool { return c.Punted[lcore.PuntARP] > 30_000 }},
		{"punts over the limit", arpRequest, 1, 0, func(c lcore.Counters) bool { return c.Drops[lcore.ReasonPuntLimited] > 30_000 }},
		{"drops", tcp(t, 40000, 82, "S"), 1, 5000, func(c lcore.Counters) bool { return c.Drops[lcore.ReasonNoService] > 30_000 }},
	} {
		g := newGenerator(t, c.model, c.flows)
		g.step = c.step
		table := 1 << 17
		if c.step == 0 {
			table = 1 << 10
		}
		w, punts := newWorker(t, g, table, spec)
		request := &lcore.Request{Out: make([]flowtable.Flow, 100)}
		buf := make([]byte, lcore.RingFrameMax)
		capture, captured := lcore.NewCapture(-1, 0, 1<<30, 256), lcore.CapturedFrame{}
		w.Capture(capture)
		perTurn := testing.AllocsPerRun(600, func() {
			w.Step()
			for ok := true; ok; {
				_, _, ok = punts.Take(buf)
			}
			for range lcore.BurstSize - 1 { // now and then it finds no room
				capture.Take(&captured)
			}
			if w.Ask(request) {
				w.Step()
				*request = lcore.Request{Out: request.Out}
			}
		})
		if perTurn != 0 {
			t.Errorf("%s: %v allocations a turn, want none", c.name, perTurn)
		}
		if got := w.ReadCounters(); !c.want(got) {
			t.Errorf("%s: the test does not do what its name says: %+v", c.name, got)
		}
	}
}

// bigSpec is a state of many services, whose real servers each have a counter of their own.
func bigSpec(t testing.TB, services, reals int) *lcore.Spec {
	scheduler, err := sched.Lookup("maglev")
	if err != nil {
		t.Fatal(err)
	}
	s := spec()
	var servers []sched.Server
	for i := range reals {
		servers = append(servers, sched.Server{ID: "rs" + string(rune('0'+i)), Slot: uint16(i), Weight: 1, Usable: true, Share: sched.FullShare})
	}
	plan, err := scheduler.Plan(servers, sched.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for id := range services {
		svc := lcore.ServiceSpec{ID: uint16(id), VIP: vip + uint32(id/2), Protocol: 6, Port: uint16(80 + id%2), Timeouts: timeouts, Table: holderOf(plan.Table(servers, 0))}
		for slot := range reals {
			n := id*reals + slot
			mac := [6]byte{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}
			svc.Reals = append(svc.Reals, lcore.RealSpec{MAC: mac, Counter: uint32(n), State: lcore.RealUp})
		}
		s.Services = append(s.Services, svc)
	}
	return s
}

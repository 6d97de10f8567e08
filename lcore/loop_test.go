package lcore_test

import (
	"testing"
	"time"

	"turnout/flowtable"
	"turnout/lcore"
)

// TestLoop runs a worker for real, while others publish snapshots, list flows, read counters and dropped frames, take what
// is punted, capture and inject frames. Under -race it shows that the data plane and the management share no memory but by atomics.
func TestLoop(t *testing.T) {
	const turns = 3000
	b := newBench(t, 4096, town(t))
	inject := newRing(t, 64)
	b.queue.Inject = inject
	b.queue.Step = tscHz / 1000
	burst := [][]byte{arp(vip), tcp(t, 40000, 81, "S"), echo(t, "192.168.57.120", 8)}
	for port := range uint16(60) {
		burst = append(burst, tcp(t, 20000+port, 80, "A"))
	}
	exhausted := make(chan struct{})
	b.queue.OnTurn = func(turn int) { // on the worker's thread
		b.queue.Out, b.queue.Decided = nil, nil
		if turn < turns {
			b.queue.In = burst
		}
		if turn == turns {
			close(exhausted)
		}
	}
	returned := make(chan struct{})
	go func() {
		b.Run()
		close(returned)
	}()
	others := meddle(t, b, inject, exhausted)
	b.Stop()
	select {
	case <-returned:
	case <-time.After(10 * time.Second):
		t.Fatal("Run did not return within 10 s of Stop")
	}
	if err := b.balance(); err != nil {
		t.Error(err)
	}
	if c := b.ReadCounters(); c.RxPackets != turns*uint64(len(burst)) {
		t.Errorf("received %d frames, want %d", c.RxPackets, turns*len(burst))
	}
	if p := b.ReadPort(); p.Injected != uint64(others.injected) {
		t.Errorf("injected %d frames, want %d", p.Injected, others.injected)
	}
	if others.listed == 0 || others.punted == 0 || others.epoch == 0 || others.kept == 0 || others.captured == 0 {
		t.Errorf("the others saw nothing: %+v", others)
	}
}

// meddling is what the others saw.
type meddling struct {
	injected, punted, listed, kept, captured int
	epoch                                    uint64 // the latest that the worker was seen to use
}

// meddle does what the management does until the frames are exhausted.
func meddle(t *testing.T, b *bench, inject *lcore.Ring, exhausted <-chan struct{}) (m meddling) {
	states := [][]lcore.RealState{{up, up, up}, {gone, up, up}, {draining, gone, up}, {gone, gone, gone}}
	request := &lcore.Request{Out: make([]flowtable.Flow, 64)}
	asked := false
	buf := make([]byte, lcore.RingFrameMax)
	var capture *lcore.Capture
	for epoch := uint64(1); ; epoch++ {
		s := spec(web(t, states[epoch%4]...))
		s.Epoch = epoch
		b.Publish(lcore.Compile(s))
		if inject.Put(uint8(lcore.InjectKernel), make([]byte, 60)) {
			m.injected++
		}
		for ok := true; ok; {
			if _, _, ok = b.punts.Take(buf); ok {
				m.punted++
			}
		}
		if asked && request.Done() {
			m.listed += request.N
			asked, request = false, &lcore.Request{Out: make([]flowtable.Flow, 64)}
		}
		if !asked {
			asked = b.Ask(request)
		}
		if c := b.ReadCounters(); c.Epoch < m.epoch || c.Epoch > epoch {
			t.Errorf("the worker uses epoch %d; it was %d before, %d is published", c.Epoch, m.epoch, epoch)
		} else {
			m.epoch = c.Epoch
		}
		b.ReadReal(0)
		b.ReadPort()
		m.kept = max(m.kept, len(b.Kept(lcore.ReasonNoService)))
		if capture != nil {
			m.captured += len(captures(capture))
		}
		if epoch%8 == 0 {
			capture = lcore.NewCapture(-1, 0, 50, 64)
			b.Capture(capture)
		}
		select {
		case <-exhausted:
			return m
		default:
		}
	}
}

// TestStopSendsTheLastBurst stops a worker right after it received.
func TestStopSendsTheLastBurst(t *testing.T) {
	b := newBench(t, 1024, town(t))
	b.queue.In = [][]byte{tcp(t, 40000, 80, "S"), tcp(t, 40001, 80, "S")}
	b.queue.OnTurn = func(int) { b.Stop() }
	b.Run()
	if len(b.queue.Out) != 2 {
		t.Errorf("%d frames were sent, want 2", len(b.queue.Out))
	}
	b.queue.In = [][]byte{tcp(t, 40002, 80, "S")}
	b.Run()
	if len(b.queue.In) != 1 {
		t.Error("a stopped worker received")
	}
	if err := b.balance(); err != nil {
		t.Error(err)
	}
}

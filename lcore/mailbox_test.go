package lcore_test

import (
	"testing"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
)

// list asks for all flows, through room for n at a time, while the worker turns and has nothing else to do.
func (b *bench) list(t testing.TB, n int) (flows []flowtable.Flow) {
	t.Helper()
	for cursor := uint64(0); ; {
		r := &lcore.Request{Cursor: cursor, Out: make([]flowtable.Flow, n)}
		if !b.Ask(r) {
			t.Fatal("the mailbox is taken")
		}
		for turns := 0; !r.Done(); turns++ {
			if turns > 1000 {
				t.Fatalf("no answer after %d turns", turns)
			}
			b.run()
		}
		if r.N > n {
			t.Fatalf("%d flows were copied into room for %d", r.N, n)
		}
		flows = append(flows, r.Out[:r.N]...)
		if r.Last {
			return flows
		}
		cursor = r.Cursor
	}
}

func TestMailboxListsEveryFlowOnce(t *testing.T) {
	b := newBench(t, 512, spec(web(t, up, up, up)))
	for port := range uint16(300) {
		b.run(tcp(t, 20000+port, 80, "S"))
	}
	for _, room := range []int{3, 4, 100, 1000} {
		seen := map[flowtable.Key]int{}
		for _, f := range b.list(t, room) {
			seen[f.Key()]++
		}
		for port := range uint16(300) {
			k := flowtable.Key{Client: client, ClientPort: 20000 + port, VIPPort: 80}
			if seen[k] != 1 {
				t.Errorf("room for %d: flow %+v was listed %d times, want once", room, k, seen[k])
			}
		}
		if len(seen) != 300 {
			t.Errorf("room for %d: %d flows were listed, want 300", room, len(seen))
		}
	}
}

func TestMailboxAnswersOneAtATime(t *testing.T) {
	b := newBench(t, 512, spec(service(t, 0, vip, frame.ProtocolTCP, 80, 0, up)))
	first := &lcore.Request{Out: make([]flowtable.Flow, 512)}
	if !b.Ask(first) || b.Ask(&lcore.Request{}) {
		t.Fatal("an empty mailbox must take one request and refuse a second")
	}
	for turn := 1; turn < 512/64; turn++ { // 64 buckets a turn
		b.run()
		if first.Done() {
			t.Fatalf("512 buckets were looked at in %d turns", turn)
		}
	}
	b.run()
	if !first.Done() || !first.Last {
		t.Errorf("done %v, last %v after %d turns; want both", first.Done(), first.Last, 512/64)
	}
	if !b.Ask(&lcore.Request{Out: make([]flowtable.Flow, 3)}) {
		t.Error("an answered request must leave the mailbox free")
	}
}

// TestNoSleepWhileAsked watches what the queue is told.
func TestNoSleepWhileAsked(t *testing.T) {
	b := newBench(t, 512, spec(service(t, 0, vip, frame.ProtocolTCP, 80, 0, up)))
	var awake []uint32
	b.queue.OnTurn = func(int) { awake = append(awake, b.burst.Awake) }
	b.run()
	b.Ask(&lcore.Request{Out: make([]flowtable.Flow, 512)})
	for range 3 {
		b.run()
	}
	if len(awake) != 4 || awake[0] != 0 || awake[1] != 0 || awake[2] != 1 || awake[3] != 1 {
		t.Errorf("Awake was %d, want 0 until the request was seen and 1 from then on", awake)
	}
}

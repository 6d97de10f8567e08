package lcore_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
)

// explainTuples is how many random packets are explained, and then sent.
const explainTuples = 100_000

// TestExplanationIsWhatHappens explains random packets to random states, and then sends them.
func TestExplanationIsWhatHappens(t *testing.T) {
	x := newExplainer(t)
	rng := rand.New(rand.NewPCG(1, 2))
	b := newBench(t, 4096, randomCast(t, rng))
	rules, verdictsSeen := map[lcore.Rule]int{}, map[lcore.Verdict]int{}
	b.queue.Now, b.queue.Step = 100*tscHz, 0 // what is explained is now
	b.run()
	for n := range explainTuples {
		if n%500 == 0 {
			b.Publish(lcore.Compile(randomCast(t, rng)))
		}
		if n%7 == 0 {
			b.queue.Now += uint64(rng.IntN(3)) * tscHz
			b.run()
		}
		tuple, flags := randomTuple(rng), randomFlags(rng)
		f := frameOf(&tuple, flags)
		want := x.Explain(&tuple, flags, b.standing(t, &tuple))
		before := b.ReadCounters()
		got := b.run(f)[0]
		for b.punts.Len() > 0 {
			b.punts.Take(nil)
		}
		b.same(t, &tuple, f, got.After, got.Verdict, before, &want)
		if t.Failed() {
			t.Fatalf("packet %d: %+v, flags %#x", n, tuple, flags)
		}
		rules[want.Rule]++
		verdictsSeen[want.Verdict]++
	}
	for rule := lcore.RuleNone; rule <= lcore.RuleHash; rule++ {
		if rules[rule] < 100 {
			t.Errorf("rule %v was met %d times: the test shows too little of it", rule, rules[rule])
		}
	}
	for r := range lcore.Reasons {
		if kept := x.Kept(r); len(kept) != 0 {
			t.Errorf("explaining has put %d frames of reason %v into the black box", len(kept), r)
		}
	}
	if len(verdictsSeen) != 3 {
		t.Errorf("verdicts met: %v; want all three", verdictsSeen)
	}
}

// same compares what was explained with what happened.
func (b *bench) same(t *testing.T, tuple *lcore.Tuple, f, after []byte, verdict lcore.Verdict, before lcore.Counters, want *lcore.Explanation) {
	t.Helper()
	now := b.ReadCounters()
	switch {
	case verdict != want.Verdict:
		t.Errorf("verdict %s, want %s", verdicts[verdict], verdicts[want.Verdict])
	case verdict == lcore.Drop && now.Drops[want.Reason] != before.Drops[want.Reason]+1:
		t.Errorf("dropped, but not for %v", want.Reason)
	case verdict == lcore.Punt && now.Punted[want.Kind] != before.Punted[want.Kind]+1:
		t.Errorf("punted, but not as %v", want.Kind)
	case verdict == lcore.Forward && !bytes.Equal(after, rewritten(f, want.MAC)):
		t.Errorf("forwarded as % x, want to %v", after, want.MAC)
	}
	if want.Service < 0 {
		return
	}
	key := flowtable.Key{VIPPort: tuple.VIPPort, ClientPort: tuple.ClientPort, Client: tuple.Client, Service: uint16(want.Service)}
	flows := b.FlowTable()
	held := flows.Lookup(flows.Hash(&key), &key, uint32(b.queue.Now*flowtable.TicksPerSecond/tscHz))
	if (held != nil) != want.Remembered || held != nil && *held != want.After {
		t.Errorf("the flow table holds %+v; want %+v (%v)", held, want.After, want.Remembered)
	}
}

// standing asks the worker how things stand.
func (b *bench) standing(t *testing.T, tuple *lcore.Tuple) *lcore.Standing {
	t.Helper()
	r := &lcore.Request{Tuple: tuple}
	if !b.Ask(r) {
		t.Fatal("the mailbox is taken")
	}
	b.run()
	if !r.Done() {
		t.Fatal("not answered in a turn")
	}
	return &r.Standing
}

func newExplainer(t *testing.T) *lcore.Explainer {
	t.Helper()
	x, err := lcore.NewExplainer(tscHz)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func randomCast(t *testing.T, rng *rand.Rand) *lcore.Spec {
	states := []lcore.RealState{up, up, up, draining, down, gone}
	s := castSpec(t, func(int) lcore.RealState { return states[rng.IntN(len(states))] }, rng.IntN(2) == 0)
	s.Standby = rng.IntN(20) == 0
	return s
}

func randomTuple(rng *rand.Rand) lcore.Tuple {
	return lcore.Tuple{
		Client: client + rng.Uint32N(4), VIP: []uint32{vip, otherVIP, thirdVIP, vip, dip}[rng.IntN(5)],
		ClientPort: 40000 + uint16(rng.IntN(8)), VIPPort: []uint16{80, 80, 53, 81}[rng.IntN(4)],
		Protocol: []uint8{frame.ProtocolTCP, frame.ProtocolTCP, frame.ProtocolUDP}[rng.IntN(3)],
	}
}

func randomFlags(rng *rand.Rand) uint8 {
	return []uint8{frame.TCPSyn, frame.TCPAck, frame.TCPAck, frame.TCPFin | frame.TCPAck, frame.TCPRst, 0}[rng.IntN(6)]
}

// frameOf is a packet of the tuple from a client that is nobody's real server.
func frameOf(tuple *lcore.Tuple, flags uint8) []byte {
	l4 := make([]byte, 20)
	put(0, byte(tuple.ClientPort>>8), byte(tuple.ClientPort), byte(tuple.VIPPort>>8), byte(tuple.VIPPort))(l4)
	l4[13] = flags
	return rawFrame(clientMAC, portMAC, tuple.Protocol, tuple.Client, tuple.VIP, l4)
}

package lcore_test

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"turnout/flowtable"
	"turnout/lcore"
)

// wantKept looks for a frame in the black box.
func (b *bench) wantKept(t testing.TB, reason string, f []byte) {
	t.Helper()
	for _, k := range b.Kept(reasonOf(t, reason)) {
		if int(k.Length) == len(f) && bytes.Equal(k.Data(), f[:min(len(f), lcore.KeptBytes)]) {
			return
		}
	}
	t.Errorf("the frame dropped for reason %s is not in the black box", reason)
}

func reasonOf(t testing.TB, name string) lcore.Reason {
	t.Helper()
	for r := range lcore.Reasons {
		if r.String() == name {
			return r
		}
	}
	t.Fatalf("there is no reason %s", name)
	return 0
}

// TestBlackBoxTellsTheDecision looks at what is kept beside the frame.
func TestBlackBoxTellsTheDecision(t *testing.T) {
	type decision struct {
		service, slot int32
		state         flowtable.State
		kind          lcore.PuntKind
	}
	stranger := decision{-1, -1, 0, lcore.PuntKinds}
	for name, want := range map[string]decision{
		"real_server_down":            {0, 0, flowtable.Established, lcore.PuntKinds},
		"no_real_server":              {0, 0, flowtable.SynReceived, lcore.PuntKinds},
		"loop_real_server_of_the_vip": {0, -1, 0, lcore.PuntKinds},
		"punt_limited":                {-1, -1, 0, lcore.PuntEcho},
		"punt_full":                   {-1, -1, 0, lcore.PuntDIP},
		"no_service":                  stranger,
		"too_short":                   stranger,
		"standby":                     stranger,
	} {
		s := storyOf(t, name)
		b := newBench(t, 1024, s.spec)
		reason, _ := s.firstDrop(t, b)
		k := b.Kept(reason)[0]
		if got := (decision{k.Service, k.Slot, k.State, k.Kind}); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if k.Number != 1 || k.Epoch != 1 || k.TSC == 0 || k.TSC > b.queue.Now {
			t.Errorf("%s: number %d, epoch %d, TSC %d at %d", name, k.Number, k.Epoch, k.TSC, b.queue.Now)
		}
	}
}

func storyOf(t testing.TB, name string) *story {
	t.Helper()
	all := stories(t)
	i := slices.IndexFunc(all, func(s story) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("there is no story %s", name)
	}
	return &all[i]
}

// firstDrop tells a story until a frame is dropped: for what reason, and which.
func (s *story) firstDrop(t testing.TB, b *bench) (lcore.Reason, []byte) {
	t.Helper()
	if s.before != nil {
		s.before(b)
	}
	for i, in := range s.inputs() {
		b.stepAt(in.at, s.steps[i].spec)
		if reason, ok := strings.CutPrefix(b.checked(t, in.frame), "drop "); ok {
			return reasonOf(t, reason), in.frame
		}
	}
	t.Fatalf("in story %s nothing is dropped", s.name)
	return 0, nil
}

// TestBlackBoxKeepsTheLatest drops more than there is room for, slowly.
func TestBlackBoxKeepsTheLatest(t *testing.T) {
	b := newBench(t, 64, town(t))
	for port := range uint16(3 * lcore.KeptFrames) {
		b.queue.Now += tscHz / lcore.KeptFrames
		b.run(tcp(t, 20000+port, 81, "S"))
	}
	kept := b.Kept(lcore.ReasonNoService)
	if len(kept) != lcore.KeptFrames {
		t.Fatalf("%d frames are kept, want %d", len(kept), lcore.KeptFrames)
	}
	for i, k := range kept {
		want := tcp(t, 20000+2*lcore.KeptFrames+uint16(i), 81, "S")
		compareFrames(t, "a kept frame", k.Data(), want)
		if i > 0 && k.TSC <= kept[i-1].TSC {
			t.Errorf("frame %d is not later than the one before", i)
		}
	}
}

// TestBlackBoxSamplesAFlood counts what is kept of a flood of one reason; a frame of another reason is kept beside it.
func TestBlackBoxSamplesAFlood(t *testing.T) {
	b := newBench(t, 64, town(t))
	flood := slices.Repeat([][]byte{tcp(t, 40000, 81, "S")}, 20*lcore.BurstSize)
	number := func() uint64 {
		kept := b.Kept(lcore.ReasonNoService)
		return kept[len(kept)-1].Number
	}
	b.queue.Step = 0
	b.run(flood...)
	if got := number(); got != lcore.KeptFrames {
		t.Errorf("%d frames of a flood within a tick were kept, want %d", got, lcore.KeptFrames)
	}
	for second := uint64(1); second <= 3; second++ {
		for range flowtable.TicksPerSecond {
			b.queue.Now += tscHz / flowtable.TicksPerSecond
			b.run(flood...)
		}
		if got, want := number(), (1+second)*lcore.KeptFrames; got != want {
			t.Errorf("%d frames were kept after %d s of flood, want %d", got, second, want)
		}
	}
	other := with(tcp(t, 40000, 80, "S"), put(atIP, 0x65))
	b.run(other)
	b.wantKept(t, "bad_version", other)
}

// TestBlackBoxIsReadWhole reads while a worker writes as fast as it can: the frames' bytes are all the same.
func TestBlackBoxIsReadWhole(t *testing.T) {
	b := newBench(t, 64, town(t))
	var group sync.WaitGroup
	reading := make(chan struct{})
	b.queue.Step = tscHz / flowtable.TicksPerSecond // a tick a turn: 4 frames of each are kept
	b.queue.OnTurn = func(turn int) {
		b.queue.Out, b.queue.Decided = nil, nil
		b.queue.In = nil
		for i := range byte(8) {
			b.queue.In = append(b.queue.In, bytes.Repeat([]byte{4 * (byte(turn) + i)}, 200+turn%50)) // to nobody's MAC
		}
	}
	group.Go(func() { b.Run() })
	group.Go(func() {
		defer close(reading)
		seen := uint64(0)
		for limit := time.Now().Add(500 * time.Millisecond); time.Now().Before(limit) || seen < 10*lcore.KeptFrames; runtime.Gosched() {
			for _, k := range b.Kept(lcore.ReasonNotForUs) {
				if bytes.Count(k.Data(), k.Data()[:1]) != len(k.Data()) {
					t.Errorf("frame %d is torn: % x", k.Number, k.Data())
					return
				}
				seen = max(seen, k.Number)
			}
		}
	})
	<-reading
	b.Stop()
	group.Wait()
}

package punt_test

import (
	"bytes"
	"sync"
	"testing"

	"turnout/lcore"
	"turnout/mgmt/punt"
)

func TestInjectorPads(t *testing.T) {
	ring := newRing(t, 4)
	injector := punt.NewInjector(ring)
	for _, n := range []int{60, 42, 61, 14} { // a longer one before a shorter one: nothing of it may show
		sent := bytes.Repeat([]byte{0xee}, n)
		if !injector.Send(lcore.InjectGenerated, sent) {
			t.Fatalf("%d bytes are refused", n)
		}
		buf := make([]byte, lcore.RingFrameMax)
		got, kind, _ := ring.Take(buf)
		want := append(sent, make([]byte, max(60-n, 0))...)
		if !bytes.Equal(buf[:got], want) || lcore.InjectKind(kind) != lcore.InjectGenerated {
			t.Errorf("kind %d, frame %x, want %x", kind, buf[:got], want)
		}
	}
}

func TestInjectorCountsWhatIsLost(t *testing.T) {
	injector := punt.NewInjector(newRing(t, 2))
	path := punt.New(punt.Config{Inject: injector})
	for i, want := range []bool{true, true, false, false} {
		if got := injector.Send(lcore.InjectKernel, make([]byte, 60)); got != want {
			t.Errorf("frame %d into a ring of 2: %v", i, got)
		}
	}
	if injector.Send(lcore.InjectKernel, make([]byte, lcore.RingFrameMax+1)) {
		t.Error("a frame longer than a ring carries was taken")
	}
	if got, want := path.Stats(), (punt.Stats{InjectFull: 2, InjectLong: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestInjectorHasManyProducers: every frame arrives whole and once.
func TestInjectorHasManyProducers(t *testing.T) {
	const producers, each = 4, 200
	ring := newRing(t, 1024)
	injector := punt.NewInjector(ring)
	var producing sync.WaitGroup
	for id := range producers {
		producing.Go(func() {
			for range each {
				injector.Send(lcore.InjectKernel, bytes.Repeat([]byte{byte(id)}, 30+20*id))
			}
		})
	}
	producing.Wait()
	var got [producers]int
	buf := make([]byte, lcore.RingFrameMax)
	for n, _, ok := ring.Take(buf); ok; n, _, ok = ring.Take(buf) {
		id := buf[0]
		if !bytes.Equal(buf[:30+20*id], bytes.Repeat([]byte{id}, 30+20*int(id))) || n != max(60, 30+20*int(id)) {
			t.Fatalf("a frame of producer %d came as %x", id, buf[:n])
		}
		got[id]++
	}
	if want := [producers]int{each, each, each, each}; got != want {
		t.Errorf("frames by producer %v, want %v", got, want)
	}
}

package lcore_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"turnout/lcore"
)

func newRing(t testing.TB, slots int) *lcore.Ring {
	t.Helper()
	r, err := lcore.NewRing(slots)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestNewRingRefusesOtherThanPowersOfTwo(t *testing.T) {
	for _, slots := range []int{0, 3, 6, 1000} {
		if r, err := lcore.NewRing(slots); err == nil {
			t.Errorf("a ring of %d frames was made: %v", slots, r.Close())
		}
	}
}

// TestRingIsAQueue holds a ring against a slice, also where its indexes wrap around.
func TestRingIsAQueue(t *testing.T) {
	type entry struct {
		kind  uint8
		frame []byte
	}
	rings := map[int]*lcore.Ring{1: newRing(t, 1), 2: newRing(t, 2), 8: newRing(t, 8)}
	buf := make([]byte, lcore.RingFrameMax)
	rapid.Check(t, func(r *rapid.T) {
		slots := rapid.SampledFrom([]int{1, 2, 8}).Draw(r, "slots")
		ring, twin := rings[slots], []entry(nil)
		ring.SkipRing(rapid.SampledFrom([]uint32{0, math.MaxUint32 - 3}).Draw(r, "used"))
		r.Repeat(map[string]func(*rapid.T){
			"put": func(r *rapid.T) {
				length := rapid.SampledFrom([]int{0, 1, 60, lcore.RingFrameMax, lcore.RingFrameMax + 1, 1 << 16}).Draw(r, "length")
				e := entry{rapid.Byte().Draw(r, "kind"), bytes.Repeat([]byte{rapid.Byte().Draw(r, "filling")}, length)}
				want := length <= lcore.RingFrameMax && len(twin) < slots
				if got := ring.Put(e.kind, e.frame); got != want {
					r.Fatalf("Put of %d bytes with %d of %d waiting: %v, want %v", length, len(twin), slots, got, want)
				}
				if want {
					twin = append(twin, e)
				}
			},
			"take": func(r *rapid.T) {
				n, kind, ok := ring.Take(buf)
				if ok != (len(twin) > 0) {
					r.Fatalf("Take: %v with %d waiting", ok, len(twin))
				}
				if !ok {
					return
				}
				if want := twin[0]; kind != want.kind || !bytes.Equal(buf[:n], want.frame) {
					r.Fatalf("took kind %d, %d bytes; want kind %d, %d bytes", kind, n, want.kind, len(want.frame))
				}
				twin = twin[1:]
			},
			"": func(r *rapid.T) {
				if ring.Len() != len(twin) {
					r.Fatalf("Len is %d, want %d", ring.Len(), len(twin))
				}
			},
		})
	})
}

// TestRingBetweenThreads passes numbered frames from one goroutine to another.
func TestRingBetweenThreads(t *testing.T) {
	const frames = 20_000
	ring := newRing(t, 16)
	var producer sync.WaitGroup
	t.Cleanup(producer.Wait) // before the ring is closed
	producer.Go(func() {
		f := make([]byte, 1024)
		for i := uint32(0); i < frames && !t.Failed(); {
			binary.BigEndian.PutUint32(f, i)
			binary.BigEndian.PutUint32(f[1020:], i)
			if ring.Put(uint8(i), f) {
				i++
			} else {
				runtime.Gosched()
			}
		}
	})
	buf := make([]byte, lcore.RingFrameMax)
	for i := uint32(0); i < frames; {
		n, kind, ok := ring.Take(buf)
		if !ok {
			runtime.Gosched()
			continue
		}
		if first, last := binary.BigEndian.Uint32(buf), binary.BigEndian.Uint32(buf[1020:]); n != 1024 || kind != uint8(i) || first != i || last != i {
			t.Fatalf("frame %d: got %d bytes of kind %d, numbered %d and %d", i, n, kind, first, last)
		}
		i++
	}
}

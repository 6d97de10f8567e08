package lcore

import (
	"math/rand/v2"
	"testing"
)

func TestFilter(t *testing.T) {
	for _, n := range []int{1, 100, 16_000, 100_000} {
		f, random := newFilter(n), rand.New(rand.NewPCG(1, uint64(n)))
		macs := map[uint64]bool{}
		for i := range n {
			mac := 0x2103_0000_0002 + uint64(i)<<24 // real servers of one maker, in sequence
			if i%2 == 1 {
				mac = random.Uint64() >> 16
			}
			macs[mac] = true
			f.add(mac)
		}
		for mac := range macs {
			if !f.has(mac) {
				t.Fatalf("of %d MACs, %012x was forgotten", n, mac)
			}
		}
		strangers := 0
		for range 100_000 {
			if mac := random.Uint64() >> 16; !macs[mac] && f.has(mac) {
				strangers++
			}
		}
		if strangers > 200 {
			t.Errorf("of %d MACs, %d strangers in 100000 are taken for members, want at most 200", n, strangers)
		}
	}
}

package sched

import (
	"fmt"
	"testing"
)

// benchServers returns n servers of weight 1, all usable, on consecutive addresses.
func benchServers(n int) []Server {
	servers := make([]Server, n)
	for i := range servers {
		servers[i] = Server{ID: fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250), Slot: uint16(i), Weight: 1, Usable: true}
	}
	return servers
}

func BenchmarkMaglevPlan(b *testing.B) {
	for _, size := range []int{65537, 655373} {
		for _, n := range []int{10, 100, 1000} {
			servers, o := benchServers(n), Options{TableSize: size}
			b.Run(fmt.Sprintf("M=%d/N=%d", size, n), func(b *testing.B) {
				for b.Loop() {
					_, _ = Maglev.Plan(servers, o)
				}
			})
			servers[0].Weight = 65535
			b.Run(fmt.Sprintf("M=%d/N=%d/skewed", size, n), func(b *testing.B) {
				for b.Loop() {
					_, _ = Maglev.Plan(servers, o)
				}
			})
		}
	}
}

package sched_test

import (
	"fmt"
	"testing"

	"turnout/sched"
)

func BenchmarkMaglevPlan(b *testing.B) {
	for _, size := range []int{65537, 655373} {
		for _, n := range []int{10, 100, 1000} {
			list := equal(n)
			b.Run(fmt.Sprintf("M=%d/N=%d", size, n), func(b *testing.B) {
				for b.Loop() {
					plan(b, sched.Maglev, list, size)
				}
			})
		}
	}
}

func BenchmarkMaglevTable(b *testing.B) {
	const n = 1000
	for _, size := range []int{65537, 655373} {
		p := plan(b, sched.Maglev, equal(n), size)
		for _, down := range []int{1, 100, 900, 999} {
			list := equal(n)
			for i := range down {
				list[i].Usable = false
			}
			b.Run(fmt.Sprintf("M=%d/N=%d/down=%d", size, n, down), func(b *testing.B) {
				for b.Loop() {
					p.Table(list, 0)
				}
			})
		}
	}
}

func BenchmarkFits(b *testing.B) {
	list := equal(1000)
	p := plan(b, sched.Maglev, list, 65537)
	for b.Loop() {
		p.Fits(sched.Maglev, list, sched.Options{TableSize: 65537})
	}
}

func BenchmarkWRRPlan(b *testing.B) {
	list := equal(1000)
	for i := range list {
		list[i].Weight = uint32(i + 1)
	}
	for b.Loop() {
		plan(b, sched.WRR, list, 0)
	}
}

func BenchmarkPick(b *testing.B) {
	for _, s := range []*sched.Scheduler{sched.Maglev, sched.RR, sched.WRR, sched.WLC} {
		b.Run(s.String(), func(b *testing.B) {
			picked, hash, cursor := table(b, s, equal(100), 65537), uint64(1), uint32(0)
			sum := uint16(0)
			for b.Loop() {
				hash += 0x9e3779b97f4a7c15
				sum += picked.Pick(hash, &cursor)
			}
			_ = sum
		})
	}
}

// BenchmarkForesee is what a counting scheduler costs every 100 ms.
func BenchmarkForesee(b *testing.B) {
	list := equal(1000)
	for i := range list {
		list[i].Weight, list[i].Active, list[i].Inactive = uint32(1+i%10), uint32(i*7%1000), uint32(i*3%500)
	}
	for _, s := range counting {
		for _, flows := range []int{1024, 1 << 14} {
			b.Run(fmt.Sprintf("%v/N=1000/flows=%d", s, flows), func(b *testing.B) {
				p := plan(b, s, list, 0)
				for b.Loop() {
					p.Table(list, flows)
				}
			})
		}
	}
}

package lcore_test

import (
	"testing"
	"unsafe"

	"turnout/lcore"
	"turnout/lcore/frame"
)

// BenchmarkTurn measures whole turns over bursts of 64 frames; ns/frame is what counts. The queue makes the frames: what
// that alone costs is the first one.
func BenchmarkTurn(b *testing.B) {
	segment := tcp(b, 40000, 80, "A")
	for _, c := range []struct {
		name  string
		model []byte
		flows uint32
		table int
	}{
		{"queue alone", segment, 0, 0},
		{"64k flows", segment, 1 << 16, 1 << 16},
		{"1M flows", segment, 1 << 20, 1 << 20},
		{"new flows", segment, 1 << 31, 1 << 20},
		{"table full", segment, 1 << 31, 1 << 10},
		{"no service", tcp(b, 40000, 81, "S"), 1, 1 << 10},
		{"not for us", with(segment, to(clientMAC)), 1, 1 << 10},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := newGenerator(b, c.model, max(c.flows, 1))
			if c.table == 0 {
				benchmarkQueue(b, g)
				return
			}
			if c.name == "new flows" {
				g.step = tscHz / 10 // as many expire: the table stays half full
			}
			w, _ := newWorker(b, g, c.table, town(b))
			if c.flows <= 1<<20 {
				for range c.flows / lcore.BurstSize { // all flows become known
					w.Step()
				}
			}
			b.ResetTimer()
			for range b.N {
				w.Step()
			}
			perFrame(b)
		})
	}
}

func benchmarkQueue(b *testing.B, g *generator) {
	burst, err := lcore.NewBurst()
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		g.Turn(burst)
	}
	perFrame(b)
	if err := burst.Free(); err != nil {
		b.Fatal(err)
	}
}

func perFrame(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lcore.BurstSize, "ns/frame")
}

func BenchmarkCheckIPv4(b *testing.B) {
	f := tcp(b, 40000, 80, "A")
	at, length := unsafe.Pointer(&f[0]), uint32(len(f))
	for range b.N {
		if frame.CheckIPv4(at, length) != frame.FaultNone {
			b.Fatal("a sound frame")
		}
	}
}

// BenchmarkCompile makes a snapshot of 1000 services with 100 real servers each, schedulers' tables aside.
func BenchmarkCompile(b *testing.B) {
	s := bigSpec(b, 1000, 100)
	b.ReportAllocs()
	for b.Loop() {
		lcore.Compile(s)
	}
}

// BenchmarkLookup finds services among 1000, and what is none.
func BenchmarkLookup(b *testing.B) {
	l := lcore.NewLookup(1000)
	for i := range uint64(1000) {
		l.Put((uint64(vip)+i/2)<<32|6<<16|80+i%2, uint32(i))
	}
	for _, c := range []struct {
		name string
		port uint64
	}{{"hit", 80}, {"miss", 443}} {
		b.Run(c.name, func(b *testing.B) {
			for i := range b.N {
				l.Find((uint64(vip)+uint64(i)%500)<<32 | 6<<16 | c.port)
			}
		})
	}
}

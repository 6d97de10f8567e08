package lcore_test

import (
	"testing"

	"pgregory.net/rapid"

	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/sched"
)

// TestWorkerIsItsTwin runs both over random streams of frames, snapshots and time.
func TestWorkerIsItsTwin(t *testing.T) {
	queue := newQueue(t)
	rapid.Check(t, func(r *rapid.T) {
		d, err := newDuel(queue, 2048, drawSpec(r, 1))
		if err != nil {
			r.Fatal(err)
		}
		defer func() {
			if err := d.close(); err != nil {
				r.Fatal(err)
			}
		}()
		must := func(err error) {
			if err != nil {
				r.Fatal(err)
			}
		}
		epoch := uint64(1)
		r.Repeat(map[string]func(*rapid.T){
			"burst": func(r *rapid.T) {
				must(d.send(rapid.SliceOfN(rapid.Custom(drawFrame), 1, 100).Draw(r, "frames")...))
			},
			"same again": func(r *rapid.T) { // most traffic belongs to known flows
				must(d.send(rapid.SliceOfN(rapid.Custom(drawSound), 1, 100).Draw(r, "frames")...))
			},
			"time": func(r *rapid.T) { d.pass(rapid.Uint32Range(0, 70*16).Draw(r, "ticks")) },
			"publish": func(r *rapid.T) {
				epoch++
				d.publish(drawSpec(r, epoch))
			},
			"idle": func(r *rapid.T) {
				for range rapid.IntRange(1, 50).Draw(r, "turns") {
					d.Step()
				}
			},
			"": func(r *rapid.T) { must(d.compareFlows()) },
		})
		if c := d.ReadCounters(); c.Flows.Full != 0 || c.Flows.Evictions != 0 {
			r.Fatalf("%d flows found no room and %d were evicted: the table is too small for this test", c.Flows.Full, c.Flows.Evictions)
		}
	})
}

// thirdVIP is withdrawn now and then.
var thirdVIP = addr("192.168.57.102")

// cast is the services of the random tests: always the same real servers, in states that change.
var cast = []struct {
	vip       uint32
	protocol  uint8
	port      uint16
	first, n  int // real servers
	scheduler string
	hash      lcore.HashKey
	persists  uint32 // ticks
}{
	{vip, frame.ProtocolTCP, 80, 0, 3, "maglev", lcore.HashTuple, 0},
	{vip, frame.ProtocolUDP, 53, 3, 2, "maglev", lcore.HashSource, 100 * 16},
	{otherVIP, frame.ProtocolTCP, 0, 5, 2, "wlc", lcore.HashTuple, 0},
	{otherVIP, frame.ProtocolTCP, 80, 7, 3, "rr", lcore.HashTuple, 30 * 16},
	{otherVIP, frame.ProtocolUDP, 0, 10, 1, "dh", lcore.HashDestination, 0},
	{thirdVIP, frame.ProtocolTCP, 80, 11, 2, "maglev", lcore.HashSource, 0},
}

func drawSpec(r *rapid.T, epoch uint64) *lcore.Spec {
	states := func(n int) lcore.RealState {
		return rapid.SampledFrom([]lcore.RealState{up, up, up, draining, down, gone}).Draw(r, "state of "+letter(n))
	}
	s := castSpec(r, states, rapid.Bool().Draw(r, "withdrawn"))
	s.Epoch, s.Standby = epoch, rapid.IntRange(0, 9).Draw(r, "standby") == 0
	return s
}

// castSpec is the state of the cast. withdrawn tells of the third VIP; without it, clients are networks of two addresses.
func castSpec(t fataler, states func(n int) lcore.RealState, withdrawn bool) *lcore.Spec {
	s := spec()
	for i, c := range cast {
		svc := lcore.ServiceSpec{ID: uint16(2 * i), VIP: c.vip, Protocol: c.protocol, Port: c.port, Hash: c.hash, Unreachable: c.vip == otherVIP, Timeouts: timeouts}
		svc.OnePacket, svc.Strict = c.vip == vip && c.protocol == frame.ProtocolUDP, c.vip == thirdVIP
		var servers []sched.Server
		for slot := range c.n {
			n := c.first + slot
			state := states(n)
			svc.Reals = append(svc.Reals, lcore.RealSpec{MAC: realMAC(n), Counter: uint32(n), State: state})
			servers = append(servers, sched.Server{ID: letter(n), Slot: uint16(slot), Weight: uint32(slot + 1), Usable: state == up, Share: sched.FullShare})
		}
		svc.Persistence, svc.PersistencePrefix = c.persists, 31
		if withdrawn {
			svc.PersistencePrefix = 32
		}
		svc.Withdrawn = c.vip == thirdVIP && withdrawn
		svc.Table = holderOf(tableOf(t, c.scheduler, servers))
		s.Services = append(s.Services, svc)
	}
	return s
}

type fataler interface{ Fatal(args ...any) }

func tableOf(t fataler, name string, servers []sched.Server) *sched.Table {
	scheduler, err := sched.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := scheduler.Plan(servers, sched.Options{TableSize: 251})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Table(servers, 0)
}

// drawSound draws a TCP segment or UDP datagram for a service, from few clients, so that flows come back.
func drawSound(r *rapid.T) []byte {
	protocol := rapid.SampledFrom([]uint8{frame.ProtocolTCP, frame.ProtocolTCP, frame.ProtocolUDP}).Draw(r, "protocol")
	l4 := make([]byte, 20)
	put(0, 0x40, rapid.ByteRange(0, 7).Draw(r, "client port"))(l4)
	put(3, rapid.SampledFrom([]byte{80, 53, 53, 80, 81}).Draw(r, "port"))(l4)
	l4[13] = rapid.SampledFrom([]byte{frame.TCPSyn, frame.TCPAck, frame.TCPAck, frame.TCPFin | frame.TCPAck, frame.TCPRst, 0, frame.TCPSyn | frame.TCPAck, 0xff}).Draw(r, "flags")
	return rawFrame(clientMAC, portMAC, protocol, client+rapid.Uint32Range(0, 2).Draw(r, "client"),
		rapid.SampledFrom([]uint32{vip, otherVIP, thirdVIP}).Draw(r, "VIP"), l4)
}

// rawFrame is a frame of a packet whose transport part is given.
func rawFrame(src, dst frame.MAC, protocol uint8, from, to uint32, l4 []byte) []byte {
	f := append(append(append([]byte(nil), dst[:]...), src[:]...), 8, 0)
	f = append(f, 0x45, 0, byte((20+len(l4))>>8), byte(20+len(l4)), 0, 0, 0x40, 0, 64, protocol, 0, 0)
	f = append(append(f, fourBytes(from)...), fourBytes(to)...)
	return append(f, l4...)
}

// drawFrame draws a frame of which something may be odd.
func drawFrame(r *rapid.T) []byte {
	f := drawSound(r)
	for range rapid.IntRange(0, 2).Draw(r, "oddities") {
		f = with(f, rapid.SampledFrom(oddities).Draw(r, "oddity")(r))
	}
	return f
}

// oddities each draw one change.
var oddities = []func(r *rapid.T) edit{
	func(r *rapid.T) edit {
		return from(rapid.SampledFrom([]frame.MAC{portMAC, peerMAC, {}, frame.Broadcast, realMAC(rapid.IntRange(0, 12).Draw(r, "real server"))}).Draw(r, "source"))
	},
	func(r *rapid.T) edit {
		return to(rapid.SampledFrom([]frame.MAC{clientMAC, {}, frame.Broadcast, {1, 0, 0x5e, 0, 0, 1}}).Draw(r, "destination"))
	},
	func(r *rapid.T) edit {
		return put(atType, 8, rapid.SampledFrom([]byte{0, 6, 1}).Draw(r, "type"))
	},
	func(r *rapid.T) edit { return put(atIP, rapid.Byte().Draw(r, "version and IHL")) },
	func(r *rapid.T) edit { return put(atIP, 0x40|rapid.ByteRange(4, 7).Draw(r, "IHL")) },
	func(r *rapid.T) edit { return put(atLength+1, rapid.Byte().Draw(r, "total length")) },
	func(r *rapid.T) edit { return totalLen(rapid.IntRange(0, 1<<16-1).Draw(r, "total length")) },
	func(r *rapid.T) edit {
		return put(atFragment, rapid.Byte().Draw(r, "fragment"), rapid.ByteRange(0, 1).Draw(r, "offset"))
	},
	func(r *rapid.T) edit {
		return put(atProtocol, rapid.SampledFrom([]byte{frame.ProtocolICMP, 47, frame.ProtocolVRRP, frame.ProtocolTCP, frame.ProtocolUDP}).Draw(r, "protocol"))
	},
	func(r *rapid.T) edit {
		return destination(rapid.SampledFrom([]uint32{dip, 0, 1<<32 - 1, addr("224.0.0.1"), addr("192.168.57.1"), otherVIP}).Draw(r, "destination"))
	},
	func(r *rapid.T) edit { return put(atL4, 8) },
	func(r *rapid.T) edit { return pad(rapid.IntRange(0, 30).Draw(r, "padding")) },
	func(r *rapid.T) edit {
		n := rapid.IntRange(0, 60).Draw(r, "length")
		return func(f []byte) []byte { return cut(min(n, len(f)))(f) }
	},
}

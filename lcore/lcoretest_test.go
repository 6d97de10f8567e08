package lcore_test

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/lcore/port/memory"
	"turnout/sched"
)

// The cast of the tests, as in the lab.
var (
	portMAC   = frame.MAC{2, 0, 0, 0, 1, 0x20}
	clientMAC = frame.MAC{2, 0, 0, 0, 1, 0x35}
	peerMAC   = frame.MAC{2, 0, 0, 0, 1, 0x19}
	vip       = addr("192.168.57.100")
	otherVIP  = addr("192.168.57.101")
	dip       = addr("192.168.57.120")
	client    = addr("192.168.57.135")
)

const tscHz = 1_000_000_000

func addr(s string) uint32 {
	b := netip.MustParseAddr(s).As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// realMAC and letter tell the real servers apart.
func realMAC(n int) frame.MAC { return frame.MAC{2, 0, 0, 0, 2, 0x21 + byte(n)} }
func letter(n int) string     { return string(rune('a' + n)) }

// timeouts in ticks: 15 min, 1 min, 2 min, 5 min as IPVS.
var timeouts = lcore.Timeouts{
	flowtable.SynReceived: 60 * 16, flowtable.Established: 900 * 16, flowtable.FinWait: 120 * 16,
	flowtable.TimeWait: 120 * 16, flowtable.Close: 10 * 16, flowtable.UDP: 300 * 16, flowtable.SynSettled: 60 * 16,
}

// service makes a service of real servers in the states given. They are numbered from first on: by MAC, and by counter.
func service(t testing.TB, id uint16, vip uint32, protocol uint8, port uint16, first uint32, states ...lcore.RealState) lcore.ServiceSpec {
	t.Helper()
	spec := lcore.ServiceSpec{ID: id, VIP: vip, Protocol: protocol, Port: port, Timeouts: timeouts}
	for i, state := range states {
		n := int(first) + i
		spec.Reals = append(spec.Reals, lcore.RealSpec{MAC: realMAC(n), Counter: uint32(n), State: state})
	}
	spec.Table = holderOf(tableOf(t, "maglev", serversOf(&spec)))
	return spec
}

// serversOf lists the real servers of a service for its scheduler, all of the same weight.
func serversOf(spec *lcore.ServiceSpec) (servers []sched.Server) {
	for slot, r := range spec.Reals {
		servers = append(servers, sched.Server{
			ID: "rs " + letter(int(r.Counter)), Slot: uint16(slot), Weight: 1, Usable: r.State == lcore.RealUp, Share: sched.FullShare,
		})
	}
	return servers
}

// holderOf makes a holder of a table.
func holderOf(t *sched.Table) *atomic.Pointer[sched.Table] {
	holder := new(atomic.Pointer[sched.Table])
	holder.Store(t)
	return holder
}

func spec(services ...lcore.ServiceSpec) *lcore.Spec {
	return &lcore.Spec{Epoch: 1, PortMAC: portMAC, PeerMACs: []frame.MAC{peerMAC}, DIP: dip, MaglevKey: [2]uint64{149, 2}, Services: services}
}

// bench is a worker over a memory queue.
type bench struct {
	*lcore.Worker
	queue     *memory.Queue
	punts     *lcore.Ring
	burst     *lcore.Burst
	templates *flowtable.Templates
	began     uint64 // TSC at which the first step of a story began
}

// newBench makes a bench that lives as long as the test.
func newBench(t testing.TB, flows int, s *lcore.Spec) *bench {
	t.Helper()
	b, err := openBench(newQueue(t), flows, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func newQueue(t testing.TB) *memory.Queue {
	t.Helper()
	queue, err := memory.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := queue.Close(); err != nil {
			t.Error(err)
		}
	})
	return queue
}

// openBench makes a bench over a queue that may have been used before; close does not close the queue.
func openBench(queue *memory.Queue, flows int, s *lcore.Spec) (*bench, error) {
	punts, err1 := lcore.NewRing(1024)
	burst, err2 := lcore.NewBurst()
	templates, err3 := flowtable.NewTemplates(256)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	queue.Reset()
	queue.Now, queue.Step = tscHz+tscHz/32, 1000 // amid a tick
	w, err := lcore.New(lcore.Config{Queue: queue, Punt: punts, Burst: burst, TSCHz: tscHz, Flows: flows, FlowKey: [2]uint64{3, 4}, Templates: templates})
	if err != nil {
		return nil, err
	}
	w.Publish(lcore.Compile(s))
	return &bench{Worker: w, queue: queue, punts: punts, burst: burst, templates: templates}, nil
}

func (b *bench) close() error {
	return errors.Join(b.Worker.Close(), b.punts.Close(), b.burst.Free(), b.templates.Close())
}

// run sends frames through the worker and returns what became of each.
func (b *bench) run(frames ...[]byte) []memory.Decision {
	b.queue.In, b.queue.Decided = frames, nil
	bursts := (len(frames) + lcore.BurstSize - 1) / lcore.BurstSize
	for range bursts + 1 {
		b.Step()
	}
	return b.queue.Decided
}

// tcp builds a frame of a TCP segment from the client to a VIP.
func tcp(t testing.TB, srcPort, dstPort uint16, flags string) []byte {
	l := &layers.TCP{SrcPort: layers.TCPPort(srcPort), DstPort: layers.TCPPort(dstPort), Window: 1024}
	for _, f := range flags {
		switch f {
		case 'S':
			l.SYN = true
		case 'A':
			l.ACK = true
		case 'F':
			l.FIN = true
		case 'R':
			l.RST = true
		}
	}
	return build(t, "192.168.57.135", "192.168.57.100", l, []byte("GET / HTTP/1.0\r\n\r\n"))
}

// udp builds a frame of a UDP datagram from the client to a VIP.
func udp(t testing.TB, srcPort, dstPort uint16) []byte {
	return build(t, "192.168.57.135", "192.168.57.100", &layers.UDP{SrcPort: layers.UDPPort(srcPort), DstPort: layers.UDPPort(dstPort)}, []byte("query"))
}

// build makes a frame from the client's MAC to the port's.
func build(t testing.TB, src, dst string, transport gopacket.SerializableLayer, payload []byte) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: clientMAC[:], DstMAC: portMAC[:], EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 64, SrcIP: netip.MustParseAddr(src).AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice()}
	switch l := transport.(type) {
	case *layers.TCP:
		ip.Protocol = layers.IPProtocolTCP
		l.SetNetworkLayerForChecksum(ip)
	case *layers.UDP:
		ip.Protocol = layers.IPProtocolUDP
		l.SetNetworkLayerForChecksum(ip)
	case *layers.ICMPv4:
		ip.Protocol = layers.IPProtocolICMPv4
	}
	buf := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, options, eth, ip, transport, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

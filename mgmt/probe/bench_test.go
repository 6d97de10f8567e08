package probe_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"turnout/lcore/frame"
	"turnout/mgmt/probe"
)

var (
	dip     = netip.MustParsePrefix("192.168.57.120/24")
	vip     = netip.MustParseAddr("192.168.57.100")
	rip     = netip.MustParseAddr("192.168.57.121")
	client  = netip.MustParseAddr("192.168.57.135")
	portMAC = frame.MAC{2, 0, 0, 0, 1, 0x20}
	realMAC = frame.MAC{2, 0, 0, 0, 1, 0x21}
	wrong   = frame.MAC{2, 0, 0, 0, 9, 0x99}
	toVIP   = probe.Target{VIP: netip.AddrPortFrom(vip, 80), RIP: netip.AddrPortFrom(rip, 80)}
)

// host is a real server as far as probes see it. The zero host is a healthy one.
type host struct {
	mac     frame.MAC // zero: realMAC
	off     bool
	noPing  bool
	noVIP   bool // the VIP is on no interface
	forward bool // a packet to an address that it does not have is sent on
	notify  bool // it tells of that by ICMP
	ripOnly bool // the service is bound to the RIP
	dead    bool // nobody listens
	deaf    bool // a packet filter drops connections to the VIP
	mute    bool // a packet filter drops what comes from the VIP
	refuse  bool // a packet filter refuses connections to the VIP
	lose    int  // so many packets are lost on the way to it, then none
}

// bench is a Prober, the host it sends to, and all frames that it sent.
type bench struct {
	*probe.Prober
	t    *testing.T
	host host
	mac  frame.MAC // as the neighbours know it; zero: not at all
	arp  frame.MAC // as ARP is answered now; zero: by nobody

	mu   sync.Mutex
	sent []gopacket.Packet
}

func newBench(t *testing.T, h host) *bench {
	b := &bench{t: t, host: h, mac: realMAC, arp: realMAC}
	b.Prober = probe.New(probe.Config{
		DIP: dip, PortMAC: portMAC, Send: b.send,
		MAC:     func(netip.Addr) (frame.MAC, bool) { return b.mac, b.mac != frame.MAC{} },
		Resolve: func(netip.Addr) (frame.MAC, bool) { return b.arp, b.arp != frame.MAC{} },
	})
	b.SetVIPs([]netip.Addr{vip})
	b.SetActive(true)
	return b
}

// probe looks at the way with a second's time.
func (b *bench) probe(target probe.Target) probe.Evidence {
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
	defer cancel()
	return b.Probe(ctx, target)
}

func (b *bench) send(f []byte) bool {
	p := gopacket.NewPacket(slices.Clone(f), layers.LayerTypeEthernet, gopacket.Default)
	b.mu.Lock()
	b.sent = append(b.sent, p)
	lost := b.host.lose > 0
	b.host.lose--
	b.mu.Unlock()
	if reply := b.host.reply(b.t, p); reply != nil && !lost {
		go b.Handle(reply)
	}
	return true
}

// reply is what the host sends to a frame, as Linux does; nil: nothing.
func (h *host) reply(t *testing.T, p gopacket.Packet) []byte {
	eth, ip := p.LinkLayer().(*layers.Ethernet), p.NetworkLayer().(*layers.IPv4)
	mac := h.mac
	if (mac == frame.MAC{}) {
		mac = realMAC
	}
	from, to := addr(ip.SrcIP), addr(ip.DstIP)
	local := to == rip || to == vip && !h.noVIP
	switch {
	case h.off || frame.MAC(eth.DstMAC) != mac:
		return nil
	case from == vip && !h.noVIP: // a martian source
		return nil
	case !local && h.forward && h.notify:
		return h.error(t, p, layers.ICMPv4TypeRedirect, 1, rip)
	case !local, to == vip && h.mute:
		return nil
	}
	switch l4 := p.TransportLayer().(type) {
	case *layers.TCP:
		return h.tcp(t, p, l4, to, from)
	case *layers.UDP:
		return h.udp(t, p, l4, to, from)
	}
	if h.noPing {
		return nil
	}
	request := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	return build(t, mac, to, from, &layers.ICMPv4{Id: request.Id, Seq: request.Seq}, gopacket.Payload(request.Payload))
}

func (h *host) tcp(t *testing.T, p gopacket.Packet, got *layers.TCP, own, peer netip.Addr) []byte {
	if !got.SYN {
		return nil
	}
	if no, filtered := h.filter(t, p, own); filtered {
		return no
	}
	open := h.listens(own)
	return build(t, realMAC, own, peer, &layers.TCP{
		SrcPort: got.DstPort, DstPort: got.SrcPort, Ack: got.Seq + 1, ACK: true, SYN: open, RST: !open, Seq: 7000,
	})
}

func (h *host) udp(t *testing.T, p gopacket.Packet, got *layers.UDP, own, peer netip.Addr) []byte {
	no, filtered := h.filter(t, p, own)
	switch {
	case filtered:
		return no
	case !h.listens(own):
		return h.error(t, p, layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort, own)
	}
	return build(t, realMAC, own, peer, &layers.UDP{SrcPort: got.DstPort, DstPort: got.SrcPort}, gopacket.Payload(got.Payload))
}

func (h *host) listens(own netip.Addr) bool { return !h.dead && (own == rip || !h.ripOnly) }

// filter is what a packet filter has to say to a packet.
func (h *host) filter(t *testing.T, p gopacket.Packet, own netip.Addr) (reply []byte, filtered bool) {
	switch {
	case own == vip && h.deaf:
		return nil, true
	case own == vip && h.refuse:
		return h.error(t, p, layers.ICMPv4TypeDestinationUnreachable, 13, vip), true
	}
	return nil, false
}

// error is an ICMP error about a packet, from one of the host's addresses.
func (h *host) error(t *testing.T, p gopacket.Packet, kind, code uint8, from netip.Addr) []byte {
	about := p.Data()[frame.EthernetLen:][:28]
	return build(t, realMAC, from, dip.Addr(), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, code)}, gopacket.Payload(about))
}

func build(t *testing.T, mac frame.MAC, from, to netip.Addr, stack ...gopacket.SerializableLayer) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, SrcIP: from.AsSlice(), DstIP: to.AsSlice(), Protocol: layers.IPProtocolICMPv4}
	switch l4 := stack[0].(type) {
	case *layers.TCP:
		ip.Protocol = layers.IPProtocolTCP
		_ = l4.SetNetworkLayerForChecksum(ip)
	case *layers.UDP:
		ip.Protocol = layers.IPProtocolUDP
		_ = l4.SetNetworkLayerForChecksum(ip)
	}
	eth := &layers.Ethernet{SrcMAC: mac[:], DstMAC: portMAC[:], EthernetType: layers.EthernetTypeIPv4}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, append([]gopacket.SerializableLayer{eth, ip}, stack...)...); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(buf.Bytes())
}

func addr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap()
}

// BenchmarkProbe is what one probe of a healthy real server costs: 10 000 real servers at an interval of 2 s make 5000 a
// second.
func BenchmarkProbe(b *testing.B) {
	var p *probe.Prober
	p = probe.New(probe.Config{
		DIP: dip, PortMAC: portMAC,
		MAC:     func(netip.Addr) (frame.MAC, bool) { return realMAC, true },
		Resolve: func(netip.Addr) (frame.MAC, bool) { return realMAC, true },
		Send: func(f []byte) bool {
			if f[47]&frame.TCPSyn != 0 {
				go p.Handle(synAck(f))
			}
			return true
		},
	})
	p.SetVIPs([]netip.Addr{vip})
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if seen := p.Probe(ctx, toVIP); seen.Answer != probe.Accepted {
			b.Fatalf("%+v", seen)
		}
	}
}

// synAck turns a SYN into its answer, but for the checksums, which nobody looks at.
func synAck(f []byte) []byte {
	f = slices.Clone(f)
	swap(f[0:6], f[6:12])
	swap(f[26:30], f[30:34])
	swap(f[34:36], f[36:38])
	copy(f[42:46], f[38:42])
	for i := 45; i >= 42; i-- { // acknowledged: the next one
		if f[i]++; f[i] != 0 {
			break
		}
	}
	f[47] |= frame.TCPAck
	return f
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}

package probe_test

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
	switch l4 := p.TransportLayer(); {
	case l4 != nil:
		return h.tcp(t, p, l4.(*layers.TCP), to, from)
	case h.noPing:
		return nil
	}
	request := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	return build(t, mac, to, from, &layers.ICMPv4{Id: request.Id, Seq: request.Seq}, gopacket.Payload(request.Payload))
}

func (h *host) tcp(t *testing.T, p gopacket.Packet, got *layers.TCP, own, peer netip.Addr) []byte {
	switch {
	case !got.SYN, own == vip && h.deaf:
		return nil
	case own == vip && h.refuse:
		return h.error(t, p, layers.ICMPv4TypeDestinationUnreachable, 13, vip)
	}
	open := !h.dead && (own == rip || !h.ripOnly)
	return build(t, realMAC, own, peer, &layers.TCP{
		SrcPort: got.DstPort, DstPort: got.SrcPort, Ack: got.Seq + 1, ACK: true, SYN: open, RST: !open, Seq: 7000,
	})
}

// error is an ICMP error about a packet, from one of the host's addresses.
func (h *host) error(t *testing.T, p gopacket.Packet, kind, code uint8, from netip.Addr) []byte {
	about := p.Data()[frame.EthernetLen:][:28]
	return build(t, realMAC, from, dip.Addr(), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, code)}, gopacket.Payload(about))
}

func build(t *testing.T, mac frame.MAC, from, to netip.Addr, stack ...gopacket.SerializableLayer) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, SrcIP: from.AsSlice(), DstIP: to.AsSlice(), Protocol: layers.IPProtocolICMPv4}
	if tcp, ok := stack[0].(*layers.TCP); ok {
		ip.Protocol = layers.IPProtocolTCP
		_ = tcp.SetNetworkLayerForChecksum(ip)
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

// Each diagnosis is told from the others, whatever else is true of the host.
func TestDiagnoses(t *testing.T) {
	static := toVIP
	static.MAC = wrong
	agent := toVIP
	agent.RIP = netip.AddrPortFrom(rip, 8080)
	for _, tt := range []struct {
		name   string
		host   host
		target probe.Target // zero: toVIP
		mac    frame.MAC    // zero: realMAC
		noMAC  bool
		arp    bool   // ARP is no longer answered
		check  string // why the check of the RIP fails
		role   string
		want   probe.Diagnosis
		why    string // part of it
		within time.Duration
	}{
		{name: "all is well", want: probe.OK},
		{name: "it answers no ping", host: host{noPing: true}, want: probe.OK},
		{name: "two packets are lost", host: host{lose: 2}, want: probe.OK, within: 500 * time.Millisecond},
		{name: "the page is broken", check: "status 500", want: probe.RIPDown, why: "status 500"},
		{name: "nobody listens", host: host{dead: true}, want: probe.RIPDown, why: "nobody listens on port 80"},
		{name: "nobody listens, as the check has seen", host: host{dead: true}, check: "connection refused", want: probe.RIPDown, why: "connection refused"},
		{name: "an agent's port is checked", host: host{dead: true}, target: agent, want: probe.ServiceNotOnVIP},
		{name: "it is off", host: host{off: true}, want: probe.RIPDown, why: "nothing comes back", within: time.Second},
		{name: "it is off, as the check has seen", host: host{off: true}, check: "timed out after 1s", want: probe.RIPDown, why: "timed out", within: time.Second},
		{name: "it is off and forgotten", host: host{off: true}, arp: true, want: probe.NoNeighbour, why: "no longer answers ARP", within: time.Second},
		{name: "it was never there", noMAC: true, want: probe.NoNeighbour, why: "never", within: time.Second},
		{name: "bound to the RIP", host: host{ripOnly: true}, want: probe.ServiceNotOnVIP},
		{name: "bound to the RIP, and no VIP", host: host{ripOnly: true, noVIP: true}, want: probe.VIPNotOnRealServer, within: 250 * time.Millisecond},
		{name: "no VIP", host: host{noVIP: true}, want: probe.VIPNotOnRealServer, why: "is no address", within: 250 * time.Millisecond},
		{name: "no VIP, a redirect", host: host{noVIP: true, noPing: true, forward: true, notify: true}, want: probe.VIPNotOnRealServer, why: "is no address"},
		{name: "no VIP, on standby", host: host{noVIP: true}, role: "standby", want: probe.VIPNotOnRealServer, why: "or its answers are blocked", within: time.Second},
		{name: "no VIP, no ping", host: host{noVIP: true, noPing: true}, want: probe.VIPNotOnRealServer, why: "or its answers are blocked", within: time.Second},
		{name: "no VIP, and the check fails", host: host{noVIP: true}, check: "status 500", want: probe.RIPDown, within: 250 * time.Millisecond},
		{name: "the VIP is deaf", host: host{deaf: true}, want: probe.ReplyPathBlocked, why: "answers ping", within: time.Second},
		{name: "the VIP is mute", host: host{mute: true}, want: probe.ReplyPathBlocked, why: "no answer from it comes out", within: time.Second},
		{name: "the VIP is deaf, on standby", host: host{deaf: true}, role: "standby", want: probe.ReplyPathBlocked, within: time.Second},
		{name: "the VIP refuses", host: host{refuse: true}, want: probe.ReplyPathBlocked, why: "type 3, code 13"},
		{name: "a wrong MAC is configured", target: static, want: probe.WrongMAC, why: "02:00:00:00:01:21", within: time.Second},
		{name: "a wrong MAC is configured, and the check fails", target: static, check: "no", want: probe.WrongMAC, within: time.Second},
		{name: "a MAC is configured, and ARP not used", target: static, arp: true, want: probe.RIPDown, within: time.Second},
		{name: "an old MAC is known", mac: wrong, want: probe.WrongMAC, within: time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, tt.host)
				b.SetActive(tt.role != "standby")
				if (tt.mac != frame.MAC{}) {
					b.mac = tt.mac
				}
				if tt.noMAC {
					b.mac, b.arp = frame.MAC{}, frame.MAC{}
				}
				if tt.arp {
					b.arp = frame.MAC{}
				}
				if !tt.target.VIP.IsValid() {
					tt.target = toVIP
				}
				start := time.Now()
				seen := b.probe(tt.target)
				if took := time.Since(start); took != tt.within {
					t.Errorf("it took %v, want %v", took, tt.within)
				}
				got := seen.Diagnose(tt.check)
				if got.Diagnosis != tt.want || !strings.Contains(got.Why, tt.why) {
					t.Errorf("%s: %s; want %s: %s", got.Diagnosis, got.Why, tt.want, tt.why)
				}
				if ok := tt.want == probe.OK; (got.Why == "") != ok || (got.Mend == "") != ok {
					t.Errorf("why %q, mend %q", got.Why, got.Mend)
				}
				if accepted := seen.Answer == probe.Accepted; accepted != (seen.Err() == nil) {
					t.Errorf("accepted %v, and the probe's result is %v", accepted, seen.Err())
				}
				synctest.Wait()
				b.wantSound(tt.role == "standby", seen.Answer == probe.Accepted)
			})
		})
	}
}

// wantSound looks at all frames that were sent: whole, with right checksums, from the DIP, and from the VIP only to ask for a
// RIP; and the connection that was accepted, if any, is ended.
func (b *bench) wantSound(standby, accepted bool) {
	b.t.Helper()
	resets := 0
	for _, p := range b.sent {
		eth, ip := p.LinkLayer().(*layers.Ethernet), p.NetworkLayer().(*layers.IPv4)
		if err := p.ErrorLayer(); err != nil || frame.MAC(eth.SrcMAC) != portMAC {
			b.t.Errorf("%v: %v", err, p)
		}
		from, to := addr(ip.SrcIP), addr(ip.DstIP)
		if tcp, ok := p.TransportLayer().(*layers.TCP); ok {
			_ = tcp.SetNetworkLayerForChecksum(ip)
			if tcp.RST && to == vip {
				resets++
			}
		}
		if err, bad := p.VerifyChecksums(); err != nil || len(bad) > 0 {
			b.t.Errorf("checksums %v, %v: %v", bad, err, p)
		}
		forged := from == vip && to == rip && ip.Protocol == layers.IPProtocolICMPv4
		if from != dip.Addr() && (!forged || standby) {
			b.t.Errorf("a packet from %v to %v", from, to)
		}
	}
	if resets > 0 != accepted {
		b.t.Errorf("%d RST, and the connection was accepted: %v", resets, accepted)
	}
}

// Answers that are none: of a guess, of another connection, of a stranger. Those from a VIP are kept from the kernel all the
// same, the others not.
func TestForgeries(t *testing.T) {
	synAck := func(change func(*layers.TCP)) func(b *bench, syn *layers.TCP) []byte {
		return func(b *bench, syn *layers.TCP) []byte {
			answer := &layers.TCP{SrcPort: syn.DstPort, DstPort: syn.SrcPort, Ack: syn.Seq + 1, Seq: 9, SYN: true, ACK: true}
			change(answer)
			return build(b.t, realMAC, vip, dip.Addr(), answer)
		}
	}
	for name, forge := range map[string]func(b *bench, syn *layers.TCP) []byte{
		"a guessed sequence number": synAck(func(a *layers.TCP) { a.Ack++ }),
		"another own port":          synAck(func(a *layers.TCP) { a.DstPort++ }),
		"another port of the VIP":   synAck(func(a *layers.TCP) { a.SrcPort++ }),
		"neither SYN nor RST":       synAck(func(a *layers.TCP) { a.SYN = false }),
		"from another address": func(b *bench, syn *layers.TCP) []byte {
			return build(b.t, realMAC, client, dip.Addr(), &layers.TCP{SrcPort: 80, DstPort: syn.SrcPort, Ack: syn.Seq + 1, SYN: true, ACK: true})
		},
		"to another address": func(b *bench, syn *layers.TCP) []byte {
			return build(b.t, realMAC, vip, client, &layers.TCP{SrcPort: 80, DstPort: syn.SrcPort, Ack: syn.Seq + 1, SYN: true, ACK: true})
		},
		"an echo reply with another number": func(b *bench, syn *layers.TCP) []byte {
			return build(b.t, realMAC, vip, dip.Addr(), &layers.ICMPv4{Id: uint16(syn.SrcPort), Seq: uint16(syn.Seq) + 1})
		},
		"an error about another packet": func(b *bench, syn *layers.TCP) []byte {
			about := build(b.t, portMAC, dip.Addr(), vip, &layers.TCP{SrcPort: syn.SrcPort, DstPort: 80, Seq: syn.Seq + 1, SYN: true})
			return build(b.t, realMAC, vip, dip.Addr(), &layers.ICMPv4{TypeCode: 0x0303}, gopacket.Payload(about[frame.EthernetLen:]))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, host{deaf: true, noPing: true})
				go func() {
					synctest.Wait()
					b.mu.Lock()
					syn := b.sent[0].TransportLayer().(*layers.TCP)
					b.mu.Unlock()
					f := forge(b, syn)
					fromVIP := addr(f[26:30]) == vip && addr(f[30:34]) == dip.Addr()
					if b.Handle(f) != fromVIP {
						t.Errorf("kept from the kernel: %v", !fromVIP)
					}
				}()
				if seen := b.probe(toVIP); seen.Answer != probe.Silence || seen.VIPEcho {
					t.Errorf("it was taken for an answer: %+v", seen)
				}
			})
		})
	}
}

// The kernel gets what is no answer to a probe, and nothing that speaks from or to a VIP.
func TestWhatTheKernelGets(t *testing.T) {
	b := newBench(t, host{})
	for name, tt := range map[string]struct {
		frame []byte
		kept  bool
	}{
		"a check's answer":         {build(t, realMAC, rip, dip.Addr(), &layers.TCP{SrcPort: 80, DstPort: 40000, SYN: true, ACK: true}), false},
		"a reply to a ping":        {build(t, realMAC, rip, dip.Addr(), &layers.ICMPv4{Id: 12000}), false},
		"ssh":                      {build(t, realMAC, client, dip.Addr(), &layers.TCP{SrcPort: 40000, DstPort: 22, SYN: true}), false},
		"a late answer":            {build(t, realMAC, vip, dip.Addr(), &layers.TCP{SrcPort: 80, DstPort: 12000, SYN: true, ACK: true, Ack: 5}), true},
		"a reset from a VIP":       {build(t, realMAC, vip, dip.Addr(), &layers.TCP{SrcPort: 80, DstPort: 12000, RST: true, ACK: true}), true},
		"a VIP's reply to a ping":  {build(t, realMAC, vip, dip.Addr(), &layers.ICMPv4{Id: 12000}), true},
		"an echo reply to a VIP":   {build(t, realMAC, rip, vip, &layers.ICMPv4{Id: 12000}), true},
		"a VIP's packet elsewhere": {build(t, realMAC, vip, client, &layers.ICMPv4{Id: 12000}), false},
		"no packet":                {make([]byte, 60), false},
		"too short":                {make([]byte, 5), false},
	} {
		if kept := b.Handle(tt.frame); kept != tt.kept {
			t.Errorf("%s: kept from the kernel %v, want %v", name, kept, tt.kept)
		}
	}
	if len(b.sent) != 1 {
		t.Fatalf("%d packets are sent, want a reset of the late answer's connection", len(b.sent))
	}
	if reset := b.sent[0].TransportLayer().(*layers.TCP); !reset.RST || reset.Seq != 5 || reset.SrcPort != 12000 || reset.DstPort != 80 {
		t.Errorf("sent: %v, want a reset with the sequence number that the late answer acknowledges", reset)
	}
}

// So many exchanges as there are numbers can be under way, and no more.
func TestManyAtOnce(t *testing.T) {
	const many, most = 30_000, 32_768 - 10_000
	synctest.Test(t, func(t *testing.T) {
		silent := probe.New(probe.Config{
			DIP: dip, PortMAC: portMAC, Send: func([]byte) bool { return true },
			MAC:     func(netip.Addr) (frame.MAC, bool) { return realMAC, true },
			Resolve: func(netip.Addr) (frame.MAC, bool) { return realMAC, true },
		})
		var all sync.WaitGroup
		var busy atomic.Int32
		for range many {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if seen := silent.Probe(ctx, toVIP); seen.Busy {
					busy.Add(1)
				}
			})
		}
		all.Wait()
		if n := busy.Load(); n != many-most {
			t.Errorf("%d of %d are refused, want all above %d", n, many, most)
		}
	})
}

// docs/diagnoses.md tells of every diagnosis how it is told from the others.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/diagnoses.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range probe.Diagnoses {
		if !strings.Contains(string(page), "\n| `"+string(d)+"` | ") {
			t.Errorf("no row tells of %s", d)
		}
	}
}

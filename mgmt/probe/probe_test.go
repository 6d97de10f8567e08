package probe_test

import (
	"context"
	"net/netip"
	"os"
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

// Each diagnosis is told from the others, whatever else is true of the host, for connections and for datagrams.
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
		if !tt.target.VIP.IsValid() {
			tt.target = toVIP
		}
		look := func(t *testing.T) {
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
				b.wantSound(tt.role == "standby", seen.Answer == probe.Accepted && tt.target.Datagram == "")
			})
		}
		t.Run(tt.name, look)
		tt.target.Datagram = "are you there?"
		t.Run(tt.name+", by UDP", look)
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
		switch l4 := p.TransportLayer().(type) {
		case *layers.TCP:
			_ = l4.SetNetworkLayerForChecksum(ip)
			if l4.RST && to == vip {
				resets++
			}
		case *layers.UDP:
			_ = l4.SetNetworkLayerForChecksum(ip)
			if l4.Checksum == 0 || string(l4.Payload) != "are you there?" {
				b.t.Errorf("%v", p)
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

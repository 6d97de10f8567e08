package punt_test

import (
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"turnout/lcore"
)

// What the prober takes does not reach the kernel: it would answer a SYN-ACK from a VIP by RST.
func TestAnswersToProbesDoNotReachTheKernel(t *testing.T) {
	s := newSegment(t)
	s.probe.Store(true)
	synAck := func(from netip.Addr) []gopacket.SerializableLayer {
		tcp := &layers.TCP{SrcPort: 80, DstPort: 12345, Ack: 5, SYN: true, ACK: true}
		ip := ipv4(from, dip.Addr(), layers.IPProtocolTCP)
		_ = tcp.SetNetworkLayerForChecksum(ip)
		return []gopacket.SerializableLayer{ethernet(clientMAC, portMAC, layers.EthernetTypeIPv4), ip, tcp}
	}
	before := s.path.Stats().ToKernel
	s.put(lcore.PuntReply, synAck(vip)...)
	s.put(lcore.PuntDIP, synAck(vip)...)
	waitFor(t, "two frames for the prober", func() bool { return s.probed.Load() == 2 })
	if n := s.path.Stats().ToKernel; n != before {
		t.Errorf("%d frames reached the kernel, want none", n-before)
	}
	s.probe.Store(false)
	s.put(lcore.PuntReply, synAck(client)...)
	waitFor(t, "a frame for the kernel", func() bool { return s.path.Stats().ToKernel == before+1 })
}

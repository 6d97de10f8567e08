package punt_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/mgmt/punt"
)

// datagram is a UDP packet to a service, with so many bytes of data.
func datagram(t testing.TB, src frame.MAC, from, to netip.Addr, data int) []byte {
	ip, udp := ipv4(from, to, layers.IPProtocolUDP), &layers.UDP{SrcPort: 5000, DstPort: 53}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return build(t, ethernet(src, portMAC, layers.EthernetTypeIPv4), ip, udp, gopacket.Payload(bytes.Repeat([]byte("x"), data)))
}

// TestPortUnreachable compares errors with those that another library makes.
func TestPortUnreachable(t *testing.T) {
	for _, test := range []struct {
		name   string
		packet []byte
		quoted int // bytes
	}{
		{"whole datagram", datagram(t, clientMAC, client, vip, 100), 128},
		{"of odd length", datagram(t, clientMAC, client, vip, 101), 129},
		{"without its padding", append(datagram(t, clientMAC, client, vip, 0), make([]byte, 18)...), 28},
		{"as long as fits", datagram(t, clientMAC, client, vip, 520), 548},
		{"cut", datagram(t, clientMAC, client, vip, 1400), 548},
	} {
		t.Run(test.name, func(t *testing.T) {
			ip := ipv4(vip, client, layers.IPProtocolICMPv4)
			ip.TTL, ip.Id, ip.TOS, ip.Flags = 64, 0, 0xc0, layers.IPv4DontFragment
			want := build(t, ethernet(portMAC, clientMAC, layers.EthernetTypeIPv4), ip,
				&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(test.packet[atIP:][:test.quoted]))
			if got := punt.PortUnreachable(test.packet, portMAC, vip); !slices.Equal(got, want) {
				t.Errorf("\n got %x\nwant %x", got, want)
			}
		})
	}
}

func TestWhoIsNotToldOfPortUnreachable(t *testing.T) {
	for _, test := range []struct {
		name   string
		packet []byte
	}{
		{"not to a VIP", datagram(t, clientMAC, client, dip.Addr(), 8)},
		{"from a VIP", datagram(t, clientMAC, vip, vip, 8)},
		{"from a group MAC", datagram(t, frame.Broadcast, client, vip, 8)},
		{"from a multicast address", datagram(t, clientMAC, netip.MustParseAddr("224.0.0.1"), vip, 8)},
		{"from broadcast", datagram(t, clientMAC, netip.MustParseAddr("255.255.255.255"), vip, 8)},
		{"from nobody", datagram(t, clientMAC, netip.IPv4Unspecified(), vip, 8)},
		{"ICMP", echoRequest(t, clientMAC, client, vip)},
		{"a later fragment", put(datagram(t, clientMAC, client, vip, 8), atIP+7, 1)},
		{"IP options", put(datagram(t, clientMAC, client, vip, 8), atIP, 0x46)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := punt.PortUnreachable(test.packet, portMAC, vip); got != nil {
				t.Errorf("answered by %x", got)
			}
		})
	}
	t.Run("cut short", func(t *testing.T) {
		b := datagram(t, clientMAC, client, vip, 32) // long enough not to be padded
		for n := range b {
			if got := punt.PortUnreachable(b[:n:n], portMAC, vip); got != nil {
				t.Errorf("%d bytes are answered by %x", n, got)
			}
		}
	})
}

func put(b []byte, at int, value byte) []byte {
	b[at] = value
	return b
}

func FuzzPortUnreachable(f *testing.F) {
	f.Add(datagram(f, clientMAC, client, vip, 100))
	f.Add(datagram(f, clientMAC, client, vip, 1400))
	f.Add(echoRequest(f, clientMAC, client, vip))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		packet := slices.Clone(b)
		got := punt.PortUnreachable(b, portMAC, vip)
		if !slices.Equal(b, packet) {
			t.Fatal("the packet was changed")
		}
		if got == nil {
			return
		}
		if n := int(binary.BigEndian.Uint16(got[atIP+2:])); n != len(got)-atIP || n < 56 || n > 576 {
			t.Errorf("total length %d in a frame of %d bytes", n, len(got))
		}
		if !checksumRight(got[atIP:atICMP]) || !checksumRight(got[atICMP:]) {
			t.Errorf("a checksum is wrong: %x", got)
		}
		if !bytes.HasPrefix(b[atIP:], got[atICMP+frame.ICMPLen:]) {
			t.Errorf("quotes %x of %x", got[atICMP+frame.ICMPLen:], b[atIP:])
		}
	})
}

// TestClientIsTold has the path answer punted packets, but not on standby.
func TestClientIsTold(t *testing.T) {
	s := newSegment(t)
	b := datagram(t, clientMAC, client, vip, 8)
	s.path.SetActive(false)
	s.punt.Put(uint8(lcore.PuntUnreachable), b)
	waitFor(t, "the ring to be empty", func() bool { return s.punt.Len() == 0 })
	s.put(lcore.PuntARP, ethernet(clientMAC, portMAC, layers.EthernetTypeARP), arp(1, clientMAC, client, frame.MAC{}, dip.Addr())) // takes its turn after
	waitFor(t, "the frame before to be done with", func() bool { return s.path.Stats().ToKernel == 1 })
	s.path.SetActive(true)
	s.punt.Put(uint8(lcore.PuntUnreachable), b)
	got := s.take("an ICMP error", func(kind lcore.InjectKind, p gopacket.Packet) bool {
		return kind == lcore.InjectGenerated && p.Layer(layers.LayerTypeICMPv4) != nil
	})
	if want := punt.PortUnreachable(b, portMAC, vip); !slices.Equal(got.Data(), want) {
		t.Errorf("\n got %x\nwant %x", got.Data(), want)
	}
	s.end()
	if stats := s.path.Stats(); stats.Unreachables != 1 || stats.ToKernel != 1 || s.inj.Len() != 0 {
		t.Errorf("%d clients were told, %d frames went to the kernel, %d wait; want 1, 1, 0", stats.Unreachables, stats.ToKernel, s.inj.Len())
	}
}

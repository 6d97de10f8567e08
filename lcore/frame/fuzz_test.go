package frame_test

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"unsafe"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"turnout/lcore/frame"
)

const page = 4096

// guarded is room for a frame that ends where a page without access begins: reading past the frame's end crashes.
func guarded(t testing.TB) []byte {
	t.Helper()
	mem, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mprotect(mem[page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	return mem[:page]
}

// FuzzParse holds the check and the views of a frame against a reader that only slices, and against gopacket.
func FuzzParse(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	room := guarded(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		data = data[:min(len(data), page)]
		if len(data) < frame.EthernetLen {
			return // the caller of CheckIPv4 has looked
		}
		copy(room[page-len(data):], data)
		at := unsafe.Pointer(&room[page-len(data)])
		eth := frame.EthernetAt(at)
		equal(t, "destination MAC", eth.Destination(), frame.MAC(data[0:6]))
		equal(t, "source MAC", eth.Source(), frame.MAC(data[6:12]))
		equal(t, "destination MAC's word", frame.DestinationWord(at), eth.Destination().Word())
		equal(t, "source MAC's word", frame.SourceWord(at), eth.Source().Word())
		equal(t, "EtherType", eth.Type(), word(data[12:]))
		want := faultOf(data[14:])
		equal(t, "fault", frame.CheckIPv4(at, uint32(len(data))), want)
		equal(t, "plain", frame.Plain(at, uint32(len(data))), word(data[12:]) == 0x0800 && want == frame.FaultNone && isPlain(data[14:]))
		if want == frame.FaultNone {
			compareIPv4(t, at, data[14:])
			compareGopacket(t, at, data)
		}
	})
}

// faultOf reads RFC 791 line by line.
func faultOf(pkt []byte) frame.Fault {
	switch {
	case len(pkt) < 20:
		return frame.FaultShort
	case pkt[0]/16 != 4:
		return frame.FaultVersion
	case pkt[0]%16 < 5:
		return frame.FaultHeader
	case word(pkt[2:]) < uint16(pkt[0]%16)*4, int(word(pkt[2:])) > len(pkt):
		return frame.FaultLength
	}
	return frame.FaultNone
}

// isPlain says whether a sound packet has no options and is no fragment.
func isPlain(pkt []byte) bool { return pkt[0] == 0x45 && word(pkt[6:])&0x3fff == 0 }

func compareIPv4(t *testing.T, at unsafe.Pointer, pkt []byte) {
	ip := frame.IPv4At(at)
	equal(t, "version", ip.Version(), 4)
	equal(t, "header length", ip.HeaderLen(), uint32(pkt[0]%16)*4)
	equal(t, "total length", ip.TotalLen(), uint32(word(pkt[2:])))
	equal(t, "fragment", ip.Fragment(), pkt[6]&0x20 != 0 || word(pkt[6:])%0x2000 != 0)
	equal(t, "protocol", ip.Protocol(), pkt[9])
	equal(t, "source", ip.Source(), uint32(word(pkt[12:]))<<16|uint32(word(pkt[14:])))
	equal(t, "destination", ip.Destination(), uint32(word(pkt[16:]))<<16|uint32(word(pkt[18:])))
	payload := pkt[ip.HeaderLen():ip.TotalLen()]
	if len(payload) >= 4 {
		ports := frame.PortsAt(at, ip.L4())
		equal(t, "source L4 port", ports.Source(), word(payload))
		equal(t, "destination L4 port", ports.Destination(), word(payload[2:]))
	}
	if len(payload) >= frame.ICMPLen {
		icmp := frame.ICMPAt(at, ip.L4())
		equal(t, "ICMP type", icmp.Type(), payload[0])
		equal(t, "ICMP code", icmp.Code(), payload[1])
	}
	if len(payload) >= frame.TCPLen {
		equal(t, "TCP flags", frame.TCPAt(at, ip.L4()).Flags(), payload[13])
	}
}

// compareGopacket reads the frame with another parser, as far as that one takes it to be sound.
func compareGopacket(t *testing.T, at unsafe.Pointer, data []byte) {
	var theirs layers.IPv4
	if theirs.DecodeFromBytes(data[14:], gopacket.NilDecodeFeedback) != nil {
		return // it looks at the options too
	}
	ip := frame.IPv4At(at)
	equal(t, "gopacket's header length", ip.HeaderLen(), uint32(theirs.IHL)*4)
	equal(t, "gopacket's total length", ip.TotalLen(), uint32(theirs.Length))
	equal(t, "gopacket's protocol", ip.Protocol(), uint8(theirs.Protocol))
	equal(t, "gopacket's fragment", ip.Fragment(), theirs.FragOffset != 0 || theirs.Flags&layers.IPv4MoreFragments != 0)
	equal(t, "gopacket's destination", netip.AddrFrom4(fourBytes(ip.Destination())), netip.AddrFrom4([4]byte(theirs.DstIP.To4())))
	ports := frame.PortsAt(at, ip.L4())
	var tcp layers.TCP
	if ip.Protocol() == frame.ProtocolTCP && tcp.DecodeFromBytes(theirs.Payload, gopacket.NilDecodeFeedback) == nil {
		equal(t, "gopacket's source port", ports.Source(), uint16(tcp.SrcPort))
		equal(t, "gopacket's destination port", ports.Destination(), uint16(tcp.DstPort))
		flags := frame.TCPAt(at, ip.L4()).Flags()
		equal(t, "gopacket's SYN", flags&frame.TCPSyn != 0, tcp.SYN)
		equal(t, "gopacket's ACK", flags&frame.TCPAck != 0, tcp.ACK)
		equal(t, "gopacket's FIN", flags&frame.TCPFin != 0, tcp.FIN)
		equal(t, "gopacket's RST", flags&frame.TCPRst != 0, tcp.RST)
	}
	var udp layers.UDP
	if ip.Protocol() == frame.ProtocolUDP && udp.DecodeFromBytes(theirs.Payload, gopacket.NilDecodeFeedback) == nil {
		equal(t, "gopacket's source port", ports.Source(), uint16(udp.SrcPort))
		equal(t, "gopacket's destination port", ports.Destination(), uint16(udp.DstPort))
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func word(b []byte) uint16 { return uint16(b[0])*256 + uint16(b[1]) }

func fourBytes(v uint32) [4]byte { return [4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)} }

// seeds are sound frames of every protocol, and what a mutation is unlikely to find.
func seeds(t testing.TB) (all [][]byte) {
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 1, 0x35}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 1, 0x20}, EthernetType: layers.EthernetTypeIPv4}
	for protocol, l := range map[layers.IPProtocol]gopacket.SerializableLayer{
		layers.IPProtocolTCP:    &layers.TCP{SrcPort: 40000, DstPort: 80, SYN: true},
		layers.IPProtocolUDP:    &layers.UDP{SrcPort: 5000, DstPort: 53},
		layers.IPProtocolICMPv4: &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)},
	} {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: net.IP{192, 168, 57, 135}, DstIP: net.IP{192, 168, 57, 100}}
		withOptions := *ip
		withOptions.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
		fragment := *ip
		fragment.Flags, fragment.FragOffset = layers.IPv4MoreFragments, 8
		for _, header := range []*layers.IPv4{ip, &withOptions, &fragment} {
			buf := gopacket.NewSerializeBuffer()
			if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, eth, header, l, gopacket.Payload("hello")); err != nil {
				t.Fatal(err)
			}
			all = append(all, buf.Bytes(), buf.Bytes()[:len(buf.Bytes())-6])
		}
	}
	return append(all, make([]byte, 14), make([]byte, 60))
}

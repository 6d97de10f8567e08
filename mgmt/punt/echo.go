package punt

import (
	"encoding/binary"
	"unsafe"

	"turnout/lcore/frame"
	"turnout/mgmt/internal/packet"
)

// Positions in a frame whose packet has no IP options.
const (
	ipv4Start       = frame.EthernetLen
	ipv4TTL         = ipv4Start + 8
	ipv4Checksum    = ipv4TTL + 2
	ipv4Source      = ipv4Checksum + 2
	ipv4Destination = ipv4Source + 4
	icmp            = frame.EthernetLen + frame.IPv4Len
	icmpChecksum    = icmp + 2
)

// echoReply turns an ICMP echo request to one of the VIPs into its reply, in place, and cuts what follows the packet.
// It answers nil, and leaves the frame alone, when the frame is no such request or may not be answered (RFC 1122
// section 3.2.2.6).
func echoReply(b []byte, own frame.MAC, vips vipSet) []byte {
	if !isAnswerable(b, vips) || !isEchoRequest(b) {
		return nil
	}
	b = b[:frame.EthernetLen+(*frame.IPv4)(b[frame.EthernetLen:]).TotalLen()]
	client := (*frame.Ethernet)(b).Source()
	copy(b, client[:])
	copy(b[len(client):], own[:])

	source := [4]byte(b[ipv4Source:])
	copy(b[ipv4Source:], b[ipv4Destination:icmp])
	copy(b[ipv4Destination:], source[:])
	setWord(b, ipv4TTL, ipv4Checksum, packet.HostTTL<<8|uint16(b[ipv4TTL+1]))
	setWord(b, icmp, icmpChecksum, frame.ICMPEchoReply<<8)
	return b
}

// isAnswerable says whether a frame is a sound packet to one of the VIPs that turnout may answer in its name: whole, with
// at least the eight bytes of transport header that ICMP needs, without IP options, because source routes would have to
// be reversed, and with a host as its sender.
func isAnswerable(b []byte, vips vipSet) bool {
	if len(b) < icmp+frame.ICMPLen || (*frame.Ethernet)(b).Type() != frame.EtherTypeIPv4 ||
		frame.CheckIPv4(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))) != frame.FaultNone {
		return false
	}
	ip := (*frame.IPv4)(b[frame.EthernetLen:])
	return ip.HeaderLen() == frame.IPv4Len && ip.TotalLen() >= frame.IPv4Len+frame.ICMPLen && !ip.Fragment() &&
		vips.has(b[ipv4Destination:]) && fromHost(b) && !vips.has(b[ipv4Source:])
}

func isEchoRequest(b []byte) bool {
	ip := (*frame.IPv4)(b[frame.EthernetLen:])
	return ip.Protocol() == frame.ProtocolICMP && b[icmp] == frame.ICMPEchoRequest && b[icmp+1] == 0
}

// fromHost says whether the sender is one host: neither a group, nor unknown, nor the loopback network.
func fromHost(b []byte) bool {
	first := b[ipv4Source]
	return !(*frame.Ethernet)(b).Source().Group() && first != 0 && first != 127 && first < 224
}

// setWord changes the 16 bits at position at, and the checksum that covers them (RFC 1624, equation 3). A checksum that
// was wrong stays wrong, so that the receiver still sees the damage.
func setWord(b []byte, at, checksum int, word uint16) {
	sum := uint32(^binary.BigEndian.Uint16(b[checksum:])) + uint32(^binary.BigEndian.Uint16(b[at:])) + uint32(word)
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[checksum:], ^uint16(sum))
	binary.BigEndian.PutUint16(b[at:], word)
}

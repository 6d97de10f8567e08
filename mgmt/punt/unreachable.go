package punt

import (
	"net/netip"

	"turnout/lcore/frame"
	"turnout/mgmt/internal/packet"
)

const (
	quote    = icmp + frame.ICMPLen
	errorMax = 576 // bytes of an ICMP error's packet at most (RFC 1812 section 4.3.2.3)

	// tosControl is the precedence of ICMP errors: internetwork control (RFC 1812 section 4.3.2.5).
	tosControl = 6 << 5
)

// portUnreachable makes the ICMP error that tells the sender of a TCP or UDP packet to one of the VIPs that nobody is
// there: destination unreachable, port unreachable (RFC 792), with as much of the packet as fits. It answers nil when the
// packet may not be answered (RFC 1122 section 3.2.2) or the frame holds no such packet.
func portUnreachable(b []byte, own frame.MAC, vips vipSet) []byte {
	if !isAnswerable(b, vips) {
		return nil
	}
	ip := (*frame.IPv4)(b[frame.EthernetLen:])
	if ip.Protocol() != frame.ProtocolTCP && ip.Protocol() != frame.ProtocolUDP {
		return nil
	}
	return unreachable(b, own, b[frame.EthernetLen:][:min(ip.TotalLen(), errorMax-(quote-frame.EthernetLen))])
}

// unreachable makes the error to the sender of frame b that quotes the given part of it.
func unreachable(b []byte, own frame.MAC, quoted []byte) []byte {
	reply := packet.Frame(packet.Header{
		To: (*frame.Ethernet)(b).Source(), From: own, Protocol: frame.ProtocolICMP, TOS: tosControl,
		Source: address(b[ipv4Destination:]), Destination: address(b[ipv4Source:]),
	}, frame.ICMPLen+len(quoted))
	reply[icmp], reply[icmp+1] = frame.ICMPUnreachable, frame.ICMPPortUnreachable
	copy(reply[quote:], quoted)
	return packet.ICMP(reply)
}

// address is the one at the start of b.
func address(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }

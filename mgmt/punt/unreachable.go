package punt

import (
	"encoding/binary"

	"turnout/lcore/frame"
)

const (
	quote    = icmp + frame.ICMPLen
	errorMax = 576 // bytes of an ICMP error's packet at most (RFC 1812 section 4.3.2.3)

	// tosControl is the precedence of ICMP errors: internetwork control (RFC 1812 section 4.3.2.5).
	tosControl = 6 << 5

	// dontFragment makes a datagram atomic, so that its identification may be 0 (RFC 6864 section 4.1).
	dontFragment = 0x4000
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
	reply := make([]byte, quote, quote+len(quoted))
	client := (*frame.Ethernet)(b).Source()
	copy(reply, client[:])
	copy(reply[len(client):], own[:])
	binary.BigEndian.PutUint16(reply[frame.EthernetLen-2:], frame.EtherTypeIPv4)

	reply[ipv4Start], reply[ipv4TOS] = 4<<4|frame.IPv4Len/4, tosControl
	binary.BigEndian.PutUint16(reply[ipv4Length:], uint16(cap(reply)-frame.EthernetLen))
	binary.BigEndian.PutUint16(reply[ipv4Fragment:], dontFragment)
	reply[ipv4TTL], reply[ipv4TTL+1] = hostTTL, frame.ProtocolICMP
	copy(reply[ipv4Source:], b[ipv4Destination:icmp])
	copy(reply[ipv4Destination:], b[ipv4Source:ipv4Destination])
	binary.BigEndian.PutUint16(reply[ipv4Checksum:], checksum(reply[frame.EthernetLen:icmp]))

	reply[icmp], reply[icmp+1] = frame.ICMPUnreachable, frame.ICMPPortUnreachable
	reply = append(reply, quoted...)
	binary.BigEndian.PutUint16(reply[icmpChecksum:], checksum(reply[icmp:]))
	return reply
}

// checksum is that of a header or message whose own checksum field is 0 (RFC 1071).
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum>>16 + sum)
}

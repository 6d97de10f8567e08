// Package packet builds the few packets that turnout sends by itself.
package packet

import (
	"encoding/binary"
	"net/netip"

	"turnout/lcore/frame"
)

// HostTTL is what hosts start with (RFC 1700).
const HostTTL = 64

// Header is what the Ethernet and IPv4 headers of a packet say. All addresses are IPv4.
type Header struct {
	To, From            frame.MAC
	Source, Destination netip.Addr
	Protocol            uint8
	TOS                 uint8
}

// L4 is where the transport header or message begins in a frame that Frame built.
const L4 = frame.EthernetLen + frame.IPv4Len

// Positions in a frame whose packet has no IP options, and in a TCP header.
const (
	etherType    = frame.EthernetLen - 2
	ipv4Length   = frame.EthernetLen + 2
	ipv4Fragment = ipv4Length + 4
	ipv4TTL      = ipv4Fragment + 2
	ipv4Checksum = ipv4TTL + 2
	ipv4Source   = ipv4Checksum + 2
	tcpChecksum  = 16
	udpLength    = 4
	udpChecksum  = udpLength + 2
	icmpChecksum = 2
)

// dontFragment makes a datagram atomic, so that its identification may be 0 (RFC 6864 section 4.1).
const dontFragment = 0x4000

// Frame is a frame with header h and room for n more bytes behind it, all zero.
func Frame(h Header, n int) []byte {
	b := make([]byte, L4+n)
	copy(b, h.To[:])
	copy(b[len(h.To):], h.From[:])
	binary.BigEndian.PutUint16(b[etherType:], frame.EtherTypeIPv4)
	b[frame.EthernetLen], b[frame.EthernetLen+1] = 4<<4|frame.IPv4Len/4, h.TOS
	binary.BigEndian.PutUint16(b[ipv4Length:], uint16(frame.IPv4Len+n))
	binary.BigEndian.PutUint16(b[ipv4Fragment:], dontFragment)
	b[ipv4TTL], b[ipv4TTL+1] = HostTTL, h.Protocol
	source, destination := h.Source.As4(), h.Destination.As4()
	copy(b[ipv4Source:], source[:])
	copy(b[ipv4Source+len(source):], destination[:])
	binary.BigEndian.PutUint16(b[ipv4Checksum:], fold(sum(b[frame.EthernetLen:L4])))
	return b
}

// TCP finishes a frame that has a whole TCP header without a checksum.
func TCP(b []byte) []byte {
	pseudo := sum(b[ipv4Source:L4]) + frame.ProtocolTCP + uint32(len(b)-L4) // RFC 9293 section 3.1
	binary.BigEndian.PutUint16(b[L4+tcpChecksum:], fold(pseudo+sum(b[L4:])))
	return b
}

// UDP finishes a frame that has a UDP header without length and checksum.
func UDP(b []byte) []byte {
	length := uint32(len(b) - L4)
	binary.BigEndian.PutUint16(b[L4+udpLength:], uint16(length))
	check := fold(sum(b[ipv4Source:L4]) + frame.ProtocolUDP + length + sum(b[L4:]))
	if check == 0 { // which would say that there is none (RFC 768)
		check = 0xffff
	}
	binary.BigEndian.PutUint16(b[L4+udpChecksum:], check)
	return b
}

// ICMP finishes a frame that has a whole ICMP message without a checksum.
func ICMP(b []byte) []byte {
	binary.BigEndian.PutUint16(b[L4+icmpChecksum:], fold(sum(b[L4:])))
	return b
}

// sum adds up 16-bit words (RFC 1071); 64 KiB of them do not overflow it.
func sum(b []byte) (sum uint32) {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// fold makes a checksum of a sum.
func fold(sum uint32) uint16 {
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum>>16 + sum&0xffff)
}

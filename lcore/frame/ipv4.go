package frame

import (
	"encoding/binary"
	"unsafe"
)

// IPv4 header (RFC 791 section 3.1), offsets within the header.
const (
	ipv4Length      = 2
	ipv4Fragment    = ipv4Length + 4
	ipv4TTL         = ipv4Fragment + 2
	ipv4Protocol    = ipv4TTL + 1
	ipv4Checksum    = ipv4Protocol + 1
	ipv4Source      = ipv4Checksum + 2
	ipv4Destination = ipv4Source + 4
	IPv4Len         = ipv4Destination + 4 // without options
)

// Protocol numbers (IANA).
const (
	ProtocolICMP = 1
	ProtocolTCP  = 6
	ProtocolUDP  = 17
	ProtocolVRRP = 112
)

// IPv4 is a view of an IPv4 header without its options.
type IPv4 [IPv4Len]byte

// IPv4At lays the view over the packet of a frame of at least EthernetLen + IPv4Len bytes.
func IPv4At(frame unsafe.Pointer) *IPv4 { return (*IPv4)(unsafe.Add(frame, EthernetLen)) }

// Version is 4 in a sound packet.
func (h *IPv4) Version() uint8 { return h[0] >> 4 }

// HeaderLen is the length of the header with its options, in bytes.
func (h *IPv4) HeaderLen() uint32 { return uint32(h[0]&15) * 4 }

// TotalLen is the length of the packet, header included, in bytes.
func (h *IPv4) TotalLen() uint32 { return uint32(binary.BigEndian.Uint16(h[ipv4Length:])) }

// Fragment says whether the packet is one of several fragments: more follow, or the offset is not 0.
func (h *IPv4) Fragment() bool { return binary.BigEndian.Uint16(h[ipv4Fragment:])&0x3fff != 0 }

// Protocol is the protocol number of what follows the header.
func (h *IPv4) Protocol() uint8 { return h[ipv4Protocol] }

// Source is the sender's address.
func (h *IPv4) Source() uint32 { return binary.BigEndian.Uint32(h[ipv4Source:]) }

// Destination is the receiver's address.
func (h *IPv4) Destination() uint32 { return binary.BigEndian.Uint32(h[ipv4Destination:]) }

// L4 is the position of the transport header in a frame whose packet has the header h, in bytes from the frame's start.
func (h *IPv4) L4() uint32 { return EthernetLen + h.HeaderLen() }

// Fault says what is wrong with the headers of a frame.
type Fault uint8

// The faults; FaultNone is a sound header.
const (
	FaultNone    Fault = iota
	FaultShort         // the frame ends before the header does
	FaultVersion       // not version 4
	FaultHeader        // a header length under 20 bytes
	FaultLength        // a total length under the header's, or beyond the frame
)

// CheckIPv4 looks at the IPv4 header of a frame of length bytes, at least EthernetLen. The other views of the packet
// may be used only after FaultNone.
func CheckIPv4(frame unsafe.Pointer, length uint32) Fault {
	if length < EthernetLen+IPv4Len {
		return FaultShort
	}
	h := IPv4At(frame)
	if h.Version() != 4 {
		return FaultVersion
	}
	if h.HeaderLen() < IPv4Len {
		return FaultHeader
	}
	if total := h.TotalLen(); total < h.HeaderLen() || total > length-EthernetLen {
		return FaultLength
	}
	return FaultNone
}

package frame

import (
	"encoding/binary"
	"unsafe"
)

// Header lengths in bytes: TCP without options (RFC 9293), UDP (RFC 768), ICMP (RFC 792).
const (
	TCPLen  = 20
	UDPLen  = 8
	ICMPLen = 8
)

// TCP flags (RFC 9293 section 3.1).
const (
	TCPFin = 1 << iota
	TCPSyn
	TCPRst
	TCPPsh
	TCPAck
)

// ICMP types, and a code of ICMPUnreachable (RFC 792).
const (
	ICMPEchoReply       = 0
	ICMPUnreachable     = 3
	ICMPPortUnreachable = 3
	ICMPEchoRequest     = 8
)

// Ports is a view of the first four bytes of a TCP or UDP header: the L4 ports.
type Ports [4]byte

// PortsAt lays the view over the transport header that starts at position l4 of a frame.
func PortsAt(frame unsafe.Pointer, l4 uint32) *Ports { return (*Ports)(unsafe.Add(frame, l4)) }

// Source is the sender's L4 port.
func (p *Ports) Source() uint16 { return binary.BigEndian.Uint16(p[:2]) }

// Destination is the receiver's L4 port.
func (p *Ports) Destination() uint16 { return binary.BigEndian.Uint16(p[2:]) }

// Both is the two ports as one number, the sender's in its upper half.
func (p *Ports) Both() uint32 { return binary.BigEndian.Uint32(p[:]) }

// TCP is a view of a TCP header without its options.
type TCP [TCPLen]byte

// TCPAt lays the view over the TCP header that starts at position l4 of a frame.
func TCPAt(frame unsafe.Pointer, l4 uint32) *TCP { return (*TCP)(unsafe.Add(frame, l4)) }

// Flags is the low byte of the flags: FIN, SYN, RST, PSH, ACK, URG.
func (t *TCP) Flags() uint8 { return t[13] }

// ICMP is a view of an ICMP header.
type ICMP [ICMPLen]byte

// ICMPAt lays the view over the ICMP header that starts at position l4 of a frame.
func ICMPAt(frame unsafe.Pointer, l4 uint32) *ICMP { return (*ICMP)(unsafe.Add(frame, l4)) }

// Type is the ICMP type.
func (i *ICMP) Type() uint8 { return i[0] }

// Code is the ICMP code.
func (i *ICMP) Code() uint8 { return i[1] }

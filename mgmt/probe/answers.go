package probe

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"turnout/lcore/frame"
	"turnout/mgmt/internal/packet"
)

// answer is a punted packet with a whole transport header of at least eight bytes.
type answer struct {
	sender              frame.MAC
	source, destination netip.Addr
	protocol            uint8
	l4                  []byte // the transport header and what follows
}

// Handle takes a punted frame, and answers true when the kernel must not see it: it answers a probe, or speaks from or to
// a VIP, of which the kernel knows nothing and which it would answer by RST or loop. It keeps nothing of the frame.
func (p *Prober) Handle(b []byte) bool {
	a, ok := parse(b)
	if !ok {
		return false
	}
	p.mu.Lock()
	x := p.exchanges[a.number()]
	taken := x != nil && p.take(x, &a)
	fromVIP := p.vips[a.source] && a.destination == p.cfg.DIP.Addr()
	toVIP := p.vips[a.destination]
	p.mu.Unlock()
	if a.opens() && (taken || fromVIP) { // also one that is late
		p.reset(&a)
	}
	return taken || fromVIP || toVIP
}

func parse(b []byte) (a answer, ok bool) {
	if len(b) < packet.L4 || (*frame.Ethernet)(b).Type() != frame.EtherTypeIPv4 ||
		frame.CheckIPv4(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))) != frame.FaultNone {
		return a, false
	}
	ip := (*frame.IPv4)(b[frame.EthernetLen:])
	a = answer{
		sender: (*frame.Ethernet)(b).Source(), source: address(ip.Source()), destination: address(ip.Destination()),
		protocol: ip.Protocol(), l4: b[ip.L4() : frame.EthernetLen+ip.TotalLen()],
	}
	shortest := frame.ICMPLen
	switch a.protocol {
	case frame.ProtocolTCP:
		shortest = frame.TCPLen
	case frame.ProtocolUDP:
		shortest = frame.UDPLen
	}
	return a, !ip.Fragment() && len(a.l4) >= shortest
}

// address makes one of the big-endian value of its bytes.
func address(v uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}

// ICMP errors that tell of a packet's end (RFC 792).
const (
	icmpRedirect     = 5
	icmpTimeExceeded = 11
)

// isError says whether the answer is an ICMP error that quotes the start of a TCP or UDP packet without IP options.
func (a *answer) isError() bool {
	if a.protocol != frame.ProtocolICMP || len(a.l4) < frame.ICMPLen+frame.IPv4Len+8 {
		return false
	}
	switch a.l4[0] {
	case frame.ICMPUnreachable, icmpRedirect, icmpTimeExceeded:
		ip := a.quoted()
		return ip.Version() == 4 && ip.HeaderLen() == frame.IPv4Len && (ip.Protocol() == frame.ProtocolTCP || ip.Protocol() == frame.ProtocolUDP)
	}
	return false
}

// quoted is the header of the packet that an error is about.
func (a *answer) quoted() *frame.IPv4 { return (*frame.IPv4)(a.l4[frame.ICMPLen:]) }

// quotedL4 is the first eight bytes behind it.
func (a *answer) quotedL4() []byte { return a.l4[frame.ICMPLen+frame.IPv4Len:] }

// number is that of the exchange which the answer may belong to.
func (a *answer) number() uint16 {
	switch {
	case a.protocol == frame.ProtocolTCP, a.protocol == frame.ProtocolUDP:
		return binary.BigEndian.Uint16(a.l4[2:])
	case a.isError():
		return binary.BigEndian.Uint16(a.quotedL4())
	case a.protocol == frame.ProtocolICMP:
		return binary.BigEndian.Uint16(a.l4[echoIdentifier:])
	}
	return 0
}

// opens says whether the answer is a SYN-ACK.
func (a *answer) opens() bool {
	const mask = frame.TCPSyn | frame.TCPAck | frame.TCPRst
	return a.protocol == frame.ProtocolTCP && a.l4[tcpFlags]&mask == frame.TCPSyn|frame.TCPAck
}

// take notes an answer to x, or says that it is none. The Prober is locked.
func (p *Prober) take(x *exchange, a *answer) (taken bool) {
	switch dip := p.cfg.DIP.Addr(); {
	case a.protocol == frame.ProtocolTCP:
		taken = a.destination == dip && x.takeTCP(a)
	case a.protocol == frame.ProtocolUDP:
		taken = a.destination == dip && x.Datagram != "" && x.takeFrom(a, Accepted)
	case a.isError():
		taken = address(a.quoted().Source()) == dip && x.takeError(a)
	case a.protocol == frame.ProtocolICMP && a.l4[0] == frame.ICMPEchoReply:
		taken = binary.BigEndian.Uint16(a.l4[echoSequence:]) == uint16(x.sequence) && x.takeEcho(a, dip)
	}
	if taken {
		signal(x.news)
	}
	return taken
}

// takeTCP notes what a SYN was answered with.
func (x *exchange) takeTCP(a *answer) bool {
	if x.Datagram != "" || binary.BigEndian.Uint32(a.l4[tcpAcknowledge:]) != x.sequence+1 {
		return false
	}
	said := Reset
	if a.opens() {
		said = Accepted
	} else if a.l4[tcpFlags]&frame.TCPRst == 0 {
		return false
	}
	return x.takeFrom(a, said)
}

// takeFrom notes what the VIP or the RIP has said.
func (x *exchange) takeFrom(a *answer, said Answer) bool {
	switch netip.AddrPortFrom(a.source, binary.BigEndian.Uint16(a.l4)) {
	case x.VIP:
		x.Answer = said
	case x.RIP:
		x.RIPAnswer = said
	default:
		return false
	}
	return true
}

// takeError notes an ICMP error about a question.
func (x *exchange) takeError(a *answer) bool {
	said, tcp := Refused, a.quoted().Protocol() == frame.ProtocolTCP
	switch {
	case tcp != (x.Datagram == ""), tcp && binary.BigEndian.Uint32(a.quotedL4()[tcpSequence:]) != x.sequence:
		return false
	case !tcp && a.l4[0] == frame.ICMPUnreachable && a.l4[1] == frame.ICMPPortUnreachable: // as a RST is (RFC 1122 section 4.1.3.1)
		said = Reset
	}
	switch about := address(a.quoted().Destination()); {
	case about == x.VIP.Addr() && a.source == about:
		x.Answer, x.ICMPType, x.ICMPCode = said, a.l4[0], a.l4[1]
	case about == x.VIP.Addr(): // who has the VIP does not tell where else it might be
		x.NotHere = true
	case about == x.RIP.Addr() && a.source == about:
		x.RIPAnswer = said
	default:
		return false
	}
	return true
}

// takeEcho notes an echo reply.
func (x *exchange) takeEcho(a *answer, dip netip.Addr) bool {
	switch vip, rip := x.VIP.Addr(), x.RIP.Addr(); [2]netip.Addr{a.source, a.destination} {
	case [2]netip.Addr{vip, dip}:
		x.VIPEcho = true
	case [2]netip.Addr{rip, dip}:
		x.RIPEcho = true
	case [2]netip.Addr{rip, vip}:
		x.NotHere = true
	default:
		return false
	}
	return true
}

// note changes what is known of x.
func (p *Prober) note(x *exchange, change func(*Evidence)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&x.Evidence)
}

// signal wakes the one goroutine that reads c; a signal that it has not seen yet is enough.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

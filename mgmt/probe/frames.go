package probe

import (
	"encoding/binary"
	"net/netip"

	"turnout/lcore/frame"
	"turnout/mgmt/internal/packet"
)

// Positions in a TCP header (RFC 9293 section 3.1) and in an ICMP echo (RFC 792).
const (
	tcpSequence    = 4
	tcpAcknowledge = tcpSequence + 4
	tcpOffset      = tcpAcknowledge + 4
	tcpFlags       = tcpOffset + 1
	tcpWindow      = tcpFlags + 1
	tcpOptions     = frame.TCPLen

	echoIdentifier = 4
	echoSequence   = echoIdentifier + 2
)

// maxSegment is the one option of a SYN: some hosts and firewalls take one without options for a scan.
var maxSegment = [...]byte{2, 4, 1460 >> 8, 1460 & 0xff}

// window is what a SYN offers, in bytes; nothing is ever received in it.
const window = 8192

// askVIP sends the probe itself: the first packet of a client's connection.
func (p *Prober) askVIP(x *exchange) {
	p.send(x, p.cfg.DIP.Addr(), x.VIP.Addr(), question(x, x.VIP.Port()))
}

// askRIP asks for the RIP in a frame for the same MAC: is the real server there?
func (p *Prober) askRIP(x *exchange) {
	p.send(x, p.cfg.DIP.Addr(), x.RIP.Addr(), question(x, x.RIP.Port()))
}

// askBeside sends what tells the causes of silence apart. An echo request from the VIP to the RIP is answered only by a
// host that does not have the VIP: one that does takes it for a forgery, since its own addresses cannot come from outside
// (RFC 1812 section 5.3.7, "martian source"). It is not sent for a VIP of another network, where the answer would go to a
// router.
func (p *Prober) askBeside(x *exchange) {
	dip, vip, rip := p.cfg.DIP.Addr(), x.VIP.Addr(), x.RIP.Addr()
	p.send(x, dip, vip, echo(x))
	p.send(x, dip, rip, echo(x))
	if p.active.Load() && p.cfg.DIP.Contains(vip) {
		p.send(x, vip, rip, echo(x))
		p.note(x, func(e *Evidence) { e.Forged = true })
	}
}

// transport is a transport header and the protocol it belongs to.
type transport struct {
	protocol uint8
	bytes    []byte
	finish   func(frame []byte) []byte
}

// question is what a client would say first.
func question(x *exchange, port uint16) transport {
	if x.Datagram == "" {
		return syn(x, port)
	}
	b := make([]byte, frame.UDPLen+len(x.Datagram))
	binary.BigEndian.PutUint16(b, x.number)
	binary.BigEndian.PutUint16(b[2:], port)
	copy(b[frame.UDPLen:], x.Datagram)
	return transport{frame.ProtocolUDP, b, packet.UDP}
}

func syn(x *exchange, port uint16) transport {
	b := make([]byte, frame.TCPLen+len(maxSegment))
	binary.BigEndian.PutUint16(b, x.number)
	binary.BigEndian.PutUint16(b[2:], port)
	binary.BigEndian.PutUint32(b[tcpSequence:], x.sequence)
	b[tcpOffset], b[tcpFlags] = byte(len(b)/4)<<4, frame.TCPSyn
	binary.BigEndian.PutUint16(b[tcpWindow:], window)
	copy(b[tcpOptions:], maxSegment[:])
	return transport{frame.ProtocolTCP, b, packet.TCP}
}

func echo(x *exchange) transport {
	b := make([]byte, frame.ICMPLen)
	b[0] = frame.ICMPEchoRequest
	binary.BigEndian.PutUint16(b[echoIdentifier:], x.number)
	binary.BigEndian.PutUint16(b[echoSequence:], uint16(x.sequence))
	return transport{frame.ProtocolICMP, b, packet.ICMP}
}

// send sends a packet to the real server's MAC; without one it waits for the next round.
func (p *Prober) send(x *exchange, from, to netip.Addr, t transport) {
	mac, known := x.Target.MAC, true
	if mac == (frame.MAC{}) {
		mac, known = p.cfg.MAC(x.RIP.Addr())
	}
	if !known {
		return
	}
	p.note(x, func(e *Evidence) { e.SentTo = mac })
	b := packet.Frame(packet.Header{To: mac, From: p.cfg.PortMAC, Source: from, Destination: to, Protocol: t.protocol}, len(t.bytes))
	copy(b[packet.L4:], t.bytes)
	p.cfg.Send(t.finish(b))
}

// reset ends the connection that a SYN-ACK would open (RFC 9293 section 3.5.2): nothing waits for it on the real server.
func (p *Prober) reset(a *answer) {
	b := packet.Frame(packet.Header{
		To: a.sender, From: p.cfg.PortMAC, Source: a.destination, Destination: a.source, Protocol: frame.ProtocolTCP,
	}, frame.TCPLen)
	l4 := b[packet.L4:]
	copy(l4, a.l4[2:4])
	copy(l4[2:], a.l4[:2])
	copy(l4[tcpSequence:], a.l4[tcpAcknowledge:tcpOffset])
	l4[tcpOffset], l4[tcpFlags] = frame.TCPLen/4<<4, frame.TCPRst
	p.cfg.Send(packet.TCP(b))
}

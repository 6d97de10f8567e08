package neigh

import (
	"encoding/binary"
	"net/netip"

	"turnout/lcore/frame"
)

// ARP over Ethernet for IPv4 (RFC 826): positions in the frame.
const (
	arpHardware = frame.EthernetLen
	arpProtocol = arpHardware + 2
	arpLengths  = arpProtocol + 2
	arpOp       = arpLengths + 2
	arpSHA      = arpOp + 2
	arpSPA      = arpSHA + 6
	arpTHA      = arpSPA + 4
	arpTPA      = arpTHA + 6
	arpLen      = arpTPA + 4
)

const (
	arpEthernet    = 1
	arpAddressLens = 6<<8 | 4 // of a MAC and of an IPv4 address

	opRequest = 1
	opReply   = 2
)

// arp is what an ARP frame says: sender and target, by hardware and protocol address.
type arp struct {
	op       uint16
	sha, tha frame.MAC
	spa, tpa netip.Addr
}

// parseARP reads a frame; ok is false when it is no ARP request or reply for IPv4 over Ethernet.
func parseARP(b []byte) (a arp, ok bool) {
	if len(b) < arpLen || (*frame.Ethernet)(b).Type() != frame.EtherTypeARP ||
		word(b, arpHardware) != arpEthernet || word(b, arpProtocol) != frame.EtherTypeIPv4 || word(b, arpLengths) != arpAddressLens {
		return arp{}, false
	}
	a = arp{
		op:  word(b, arpOp),
		sha: frame.MAC(b[arpSHA:]), spa: netip.AddrFrom4([4]byte(b[arpSPA:])),
		tha: frame.MAC(b[arpTHA:]), tpa: netip.AddrFrom4([4]byte(b[arpTPA:])),
	}
	return a, a.op == opRequest || a.op == opReply
}

// frame builds the frame that says a, from a's sender to the MAC to.
func (a arp) frame(to frame.MAC) []byte {
	b := make([]byte, arpLen)
	copy(b, to[:])
	copy(b[6:], a.sha[:])
	put := binary.BigEndian.PutUint16
	put(b[12:], frame.EtherTypeARP)
	put(b[arpHardware:], arpEthernet)
	put(b[arpProtocol:], frame.EtherTypeIPv4)
	put(b[arpLengths:], arpAddressLens)
	put(b[arpOp:], a.op)
	copy(b[arpSHA:], a.sha[:])
	copy(b[arpSPA:], a.spa.AsSlice())
	copy(b[arpTHA:], a.tha[:])
	copy(b[arpTPA:], a.tpa.AsSlice())
	return b
}

// probe asks whether anybody holds vip, without claiming it (RFC 5227 section 2.1.1).
func probe(own frame.MAC, vip netip.Addr) []byte {
	return arp{op: opRequest, sha: own, spa: netip.IPv4Unspecified(), tpa: vip}.frame(frame.Broadcast)
}

// announcement says that own holds vip (RFC 5227 section 2.3, request form).
func announcement(own frame.MAC, vip netip.Addr) arp {
	return arp{op: opRequest, sha: own, spa: vip, tpa: vip}
}

// reply answers the request a.
func (a arp) reply(own frame.MAC) []byte {
	return arp{op: opReply, sha: own, spa: a.tpa, tha: a.sha, tpa: a.spa}.frame(a.sha)
}

func word(b []byte, at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }

package store

import (
	"net/netip"
	"slices"
)

// Segment is what the director knows of the networks it stands in, and of itself.
type Segment struct {
	Exec bool           // health.exec_dir is set
	DIPs []netip.Prefix // the ports' own addresses with their subnets' lengths; if none is valid, nothing is judged by subnet
}

// known says whether any subnet is.
func (s Segment) known() bool { return slices.ContainsFunc(s.DIPs, netip.Prefix.IsValid) }

// subnet returns the port's prefix that holds addr.
func (s Segment) subnet(addr netip.Addr) (netip.Prefix, bool) {
	for _, dip := range s.DIPs {
		if dip.Contains(addr) {
			return dip, true
		}
	}
	return netip.Prefix{}, false
}

// isDIP says whether addr is the director's own.
func (s Segment) isDIP(addr netip.Addr) bool {
	for _, dip := range s.DIPs {
		if dip.Addr() == addr {
			return true
		}
	}
	return false
}

// unusable says why no host of a segment can have the address, or "".
func (s Segment) unusable(addr netip.Addr) string {
	switch {
	case addr.IsUnspecified():
		return "is the unspecified address"
	case addr.IsMulticast():
		return "is a multicast address"
	case addr.IsLoopback():
		return "is a loopback address"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "is the broadcast address"
	}
	dip, ok := s.subnet(addr)
	if !ok || dip.Bits() >= 31 { // RFC 3021: a /31 has hosts only
		return ""
	}
	switch addr {
	case dip.Masked().Addr():
		return "is the network address of " + dip.Masked().String()
	case Broadcast(dip):
		return "is the broadcast address of " + dip.Masked().String()
	}
	return ""
}

// Broadcast returns the last address of an IPv4 prefix.
func Broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

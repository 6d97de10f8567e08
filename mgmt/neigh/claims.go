package neigh

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"turnout/lcore/frame"
)

// Claim is a machine that says by ARP that an address is its own.
type Claim struct {
	Address netip.Addr // a VIP, or a real server's own
	MAC     frame.MAC
	Since   time.Time // first heard
	Heard   time.Time // last heard
}

// maxClaims bounds what is kept for an address, and with it what is told of one who claims it from ever new MACs.
const maxClaims = 16

// claims are all who say that one address is theirs.
type claims []Claim

// note keeps a claim and answers whether it is a new one.
func (c *claims) note(address netip.Addr, mac frame.MAC, now time.Time) bool {
	for i := range *c {
		if (*c)[i].MAC == mac {
			(*c)[i].Heard = now
			return false
		}
	}
	if len(*c) == maxClaims {
		return false
	}
	*c = append(*c, Claim{Address: address, MAC: mac, Since: now, Heard: now})
	return true
}

// forget drops the claims that were last heard before then, and answers whether there were any.
func (c *claims) forget(then time.Time) bool {
	before := len(*c)
	*c = slices.DeleteFunc(*c, func(claim Claim) bool { return claim.Heard.Before(then) })
	return len(*c) < before
}

// rivals are the claims that overlap in time. One MAC that follows another is a machine that got a new one.
func (c claims) rivals() (list claims) {
	for i, a := range c {
		overlaps := func(b Claim) bool { return b.MAC != c[i].MAC && !b.Since.After(a.Heard) && !a.Since.After(b.Heard) }
		if slices.ContainsFunc(c, overlaps) {
			list = append(list, a)
		}
	}
	return list
}

// Claims lists the claims to VIPs by other machines, and those to a real server's address if there are several, by address
// and MAC.
func (g *Guard) Claims() []Claim {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []Claim
	for _, v := range g.vips {
		list = append(list, v.claims...)
	}
	for _, s := range g.servers {
		list = append(list, s.claims.rivals()...)
	}
	slices.SortFunc(list, func(a, b Claim) int {
		return cmp.Or(a.Address.Compare(b.Address), slices.Compare(a.MAC[:], b.MAC[:]))
	})
	return list
}

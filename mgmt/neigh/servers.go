package neigh

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

const (
	// serverInterval is how often it is asked whether a real server's address has two holders. The kernel cannot tell: it
	// asks the one that it knows.
	serverInterval = 30 * time.Second
	serverJitter   = 5 * time.Second
	serverKept     = 75 * time.Second // two questions may be lost

	// A host that probes for its address must find nobody else probing (RFC 5227 section 2.1.1): it is not asked while it
	// may still be at it, which is at most 6 s.
	serverYield = 10 * time.Second
)

// server is a real server's address, which two machines may have by mistake. It is asked for again only once it has been
// heard, so a machine that has just started is not taken by surprise.
type server struct {
	claims    claims
	nextProbe time.Time // zero: not until it is heard
}

// SetServers replaces the set of real servers' addresses, for which other holders are looked for. What is known of those
// that stay is kept.
func (g *Guard) SetServers(addrs []netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.servers
	g.servers = make(map[netip.Addr]*server, len(addrs))
	for _, addr := range addrs {
		g.servers[addr] = old[addr]
		if g.servers[addr] == nil {
			g.servers[addr] = &server{}
		}
	}
	g.noteChange()
}

// hearServer notes what a frame says of real servers' addresses. It answers true for the answer to a question of the
// Guard's: the kernel, which did not ask, would move the real server to whoever answers last.
func (g *Guard) hearServer(a arp) (consumed bool) {
	now := time.Now()
	if s := g.servers[a.tpa]; s != nil && a.op == opRequest && a.spa.IsUnspecified() {
		s.yield(now)
	}
	s := g.servers[a.spa]
	if s == nil {
		return false
	}
	before := len(s.claims.rivals())
	s.claims.note(a.spa, a.sha, now)
	if len(s.claims.rivals()) != before {
		g.noteChange()
	}
	if s.nextProbe.IsZero() {
		s.nextProbe = now.Add(serverInterval - rand.N(serverJitter))
		g.wake()
	}
	return a.op == opReply && a.tpa.IsUnspecified()
}

// yield puts off a question that would come while another host probes for the address.
func (s *server) yield(now time.Time) {
	if until := now.Add(serverYield); !s.nextProbe.IsZero() && s.nextProbe.Before(until) {
		s.nextProbe = until
	}
}

// advanceServer asks for a real server's address if it is time, and forgets who was not heard.
func (g *Guard) advanceServer(addr netip.Addr, s *server, now time.Time) {
	if len(s.claims) > 1 && s.claims.forget(now.Add(-serverKept)) {
		g.changed = true
	}
	if due(s.nextProbe, now) && g.linkUp && g.ask(addr, now) {
		s.nextProbe = time.Time{}
	}
}

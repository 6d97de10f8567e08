// Package probe looks at the way that clients' packets take: to VIP:port, in a frame for the real server's MAC. A check of
// the RIP proves neither that the VIP is on the real server's lo nor that the service listens on it, nor that answers from
// the VIP come out.
//
// The exchange is user space's: a SYN from the DIP and, when a SYN-ACK comes back from the VIP, a RST; for a UDP service a
// datagram and its answer. The kernel could neither choose the MAC nor take an answer from a VIP. While nothing comes back, other packets are sent beside it, whose
// answers tell the causes apart. Reading order: probe.go (the exchange), frames.go (what is sent), answers.go (what comes
// back), diagnosis.go (what it means).
package probe

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"turnout/lcore/frame"
)

// Target is a way to be looked at. It is comparable.
type Target struct {
	VIP netip.AddrPort // of the service
	RIP netip.AddrPort // of the real server, with the L4 port of its plain check, or else the service's
	MAC frame.MAC      // the configured one; zero: Config.MAC tells

	// Datagram makes it a way of UDP packets: what is sent, and must be answered by something. Empty: a TCP connection.
	Datagram string
}

// Config is what a Prober needs. All fields must be set.
type Config struct {
	DIP     netip.Prefix
	PortMAC frame.MAC
	MAC     func(netip.Addr) (frame.MAC, bool) // where packets for a real server are sent, as far as it is known
	Send    func(frame []byte) bool            // out of the port; false: it was full

	// Resolve tells who answers ARP for a real server now; false: nobody. It is asked only when a real server is silent.
	Resolve func(netip.Addr) (frame.MAC, bool)
}

// Prober does the exchanges. Its methods are safe for concurrent use.
type Prober struct {
	cfg    Config
	active atomic.Bool

	mu        sync.Mutex
	vips      map[netip.Addr]bool
	exchanges map[uint16]*exchange // by their number
	last      uint16
}

// exchange is a probe under way. The Prober's lock guards what has come back.
type exchange struct {
	number   uint16 // own L4 port, and identifier of ICMP echoes
	sequence uint32
	news     chan struct{} // holds one: something has come back
	Evidence
}

// The numbers of exchanges stay out of the range that Linux takes local ports from, lest an answer to a probe of the RIP
// belong to a check as well. Ports are taken in turn, so that a firewall on the way has forgotten the one before.
const (
	firstNumber = 10_000
	lastNumber  = 32_767
)

// rounds is how often an unanswered probe is sent within its time: a lost frame must not take a real server down. From the
// second one on the questions that tell the causes apart go with it.
const rounds = 4

// New makes a Prober on standby that knows no VIPs.
func New(cfg Config) *Prober {
	return &Prober{cfg: cfg, exchanges: map[uint16]*exchange{}, last: firstNumber + rand.N[uint16](lastNumber-firstNumber)}
}

// SetVIPs replaces the set of VIPs.
func (p *Prober) SetVIPs(vips []netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.vips = make(map[netip.Addr]bool, len(vips))
	for _, vip := range vips {
		p.vips[vip] = true
	}
}

// SetActive tells the role: a standby probes from its DIP, and sends nothing from a VIP.
func (p *Prober) SetActive(active bool) { p.active.Store(active) }

// Probe looks at a way until it is settled or ctx, which must have a deadline, is done.
func (p *Prober) Probe(ctx context.Context, t Target) Evidence {
	x := p.begin(t)
	if x == nil {
		return Evidence{Target: t, Busy: true}
	}
	defer p.end(x)
	deadline, _ := ctx.Deadline()
	round := time.NewTicker(max(time.Until(deadline)/rounds, time.Millisecond))
	defer round.Stop()
	p.askVIP(x)
	for {
		select {
		case <-x.news:
			seen := p.seen(x)
			if seen.settled() {
				return seen
			}
			if seen.Answer == Reset { // is anybody there at all?
				p.askRIP(x)
			}
		case <-round.C:
			p.askAll(x)
		case <-ctx.Done():
			return p.conclude(x)
		}
	}
}

// begin gives an exchange its number; nil: all are taken.
func (p *Prober) begin(t Target) *exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.exchanges) > lastNumber-firstNumber {
		return nil
	}
	for taken := true; taken; _, taken = p.exchanges[p.last] {
		if p.last++; p.last > lastNumber {
			p.last = firstNumber
		}
	}
	x := &exchange{
		number: p.last, sequence: rand.Uint32(), news: make(chan struct{}, 1),
		Evidence: Evidence{Target: t, DIP: p.cfg.DIP.Addr()},
	}
	p.exchanges[x.number] = x
	return x
}

func (p *Prober) end(x *exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.exchanges, x.number)
}

// seen is what has come back so far.
func (p *Prober) seen(x *exchange) Evidence {
	p.mu.Lock()
	defer p.mu.Unlock()
	return x.Evidence
}

// conclude is what is known when the time is over.
func (p *Prober) conclude(x *exchange) Evidence {
	seen := p.seen(x)
	if seen.Answer == Silence && !seen.present() {
		seen.Resolved, _ = p.cfg.Resolve(x.RIP.Addr())
	}
	return seen
}

// askAll asks what is not answered yet.
func (p *Prober) askAll(x *exchange) {
	seen := p.seen(x)
	if seen.Answer == Silence {
		p.askVIP(x)
		p.askBeside(x)
	}
	p.askRIP(x)
}

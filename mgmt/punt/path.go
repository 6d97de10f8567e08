// Package punt joins the director's kernel to a port: a TAP interface carries the DIP, frames that the lcores punt go
// to the kernel through it, and what the kernel sends is injected into the port. Ordinary sockets on the director
// (health checks, ssh, routing daemons) thus use the port without knowing it.
//
// The VIPs stay out of the kernel. ARP for them is answered by mgmt/neigh; echo requests to them, and packets for which
// there is no real server, are answered here; and what the kernel itself says about a VIP is swallowed.
package punt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"turnout/lcore"
	"turnout/lcore/frame"
)

// Config says what a Path joins. All fields must be set but Probe.
type Config struct {
	TAP    *TAP          // the kernel's end; stays the caller's to close
	Rings  []*lcore.Ring // lcore -> management, one per lcore; the Path is their only consumer
	Inject *Injector     // management -> lcore

	// ARP sees every punted ARP frame first and answers true when the kernel must not see it. It must not block and
	// may keep nothing of the frame.
	ARP func(frame []byte) bool

	// Probe sees every other punted frame for the kernel likewise: what answers the path probes is not for it. Nil: nobody
	// probes.
	Probe func(frame []byte) bool
}

// Path is the way of frames between the lcores and the kernel. Its methods are safe for concurrent use.
type Path struct {
	cfg    Config
	vips   atomic.Pointer[vipSet]
	active atomic.Bool

	toKernel     atomic.Uint64
	fromKernel   atomic.Uint64
	swallowed    atomic.Uint64
	echoReplies  atomic.Uint64
	unreachables atomic.Uint64
	writeErrors  atomic.Uint64
}

// vipSet holds the VIPs, all IPv4.
type vipSet map[netip.Addr]struct{}

// pollInterval bounds the wait of a punted frame, because an lcore makes no system call that could wake anybody: an
// ARP request for a VIP is to be answered within 5 ms, of which a sleeping lcore may take one. A shorter interval costs an
// idle director a percent of a CPU and more.
const pollInterval = 2 * time.Millisecond

// takeAtOnce is how many frames are taken from one lcore's ring before the next lcore's turn.
const takeAtOnce = 64

// New makes a Path on standby that knows no VIPs.
func New(cfg Config) *Path {
	p := &Path{cfg: cfg}
	p.SetVIPs(nil)
	return p
}

// SetVIPs replaces the set of VIPs.
func (p *Path) SetVIPs(vips []netip.Addr) {
	set := newVIPSet(vips)
	p.vips.Store(&set)
}

func newVIPSet(vips []netip.Addr) vipSet {
	set := make(vipSet, len(vips))
	for _, vip := range vips {
		set[vip] = struct{}{}
	}
	return set
}

// SetActive tells the role: a standby answers nobody in a VIP's name.
func (p *Path) SetActive(active bool) { p.active.Store(active) }

// Run moves frames both ways until ctx ends (nil) or the TAP fails. It may be called once.
func (p *Path) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	reader := make(chan error, 1)
	go func() {
		defer stop()
		reader <- p.inject()
	}()
	p.punt(ctx)
	return errors.Join(p.cfg.TAP.interrupt(), <-reader)
}

// punt empties the rings until ctx ends. It sleeps only when it found them all empty.
func (p *Path) punt(ctx context.Context) {
	buf := make([]byte, lcore.RingFrameMax)
	idle := time.NewTimer(pollInterval)
	defer idle.Stop()
	for ctx.Err() == nil {
		if p.drain(buf) > 0 {
			continue
		}
		idle.Reset(pollInterval)
		select {
		case <-ctx.Done():
		case <-idle.C:
		}
	}
}

// drain handles up to takeAtOnce frames of each ring and tells how many there were.
func (p *Path) drain(buf []byte) (frames int) {
	for _, ring := range p.cfg.Rings {
		for range takeAtOnce {
			n, kind, ok := ring.Take(buf)
			if !ok {
				break
			}
			p.dispatch(lcore.PuntKind(kind), buf[:n])
			frames++
		}
	}
	return frames
}

// dispatch hands a punted frame to whom it concerns.
func (p *Path) dispatch(kind lcore.PuntKind, b []byte) {
	switch kind {
	case lcore.PuntEcho:
		p.answer(b, echoReply, &p.echoReplies)
	case lcore.PuntUnreachable:
		p.answer(b, portUnreachable, &p.unreachables)
	case lcore.PuntARP:
		if !p.cfg.ARP(b) {
			p.writeTAP(b)
		}
	default:
		if p.cfg.Probe == nil || !p.cfg.Probe(b) {
			p.writeTAP(b)
		}
	}
}

// answer sends what reply makes of a frame, if anything, back to its sender.
func (p *Path) answer(b []byte, reply func(b []byte, own frame.MAC, vips vipSet) []byte, answered *atomic.Uint64) {
	r := reply(b, p.cfg.TAP.mac, *p.vips.Load())
	if r != nil && p.active.Load() && p.cfg.Inject.Send(lcore.InjectGenerated, r) {
		answered.Add(1)
	}
}

func (p *Path) writeTAP(frame []byte) {
	if _, err := p.cfg.TAP.file.Write(frame); err != nil {
		p.writeErrors.Add(1)
		return
	}
	p.toKernel.Add(1)
}

// inject moves what the kernel sends into the port, until the TAP is interrupted (nil) or fails.
func (p *Path) inject() error {
	buf := make([]byte, lcore.RingFrameMax)
	for {
		n, err := p.cfg.TAP.file.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from kernel interface %s: %w: was it deleted? restart turnout to make it anew", p.cfg.TAP.name, err)
		}
		p.fromKernel.Add(1)
		p.injectOne(buf[:n])
	}
}

func (p *Path) injectOne(frame []byte) {
	if p.vips.Load().claimedBy(frame) {
		p.swallowed.Add(1)
		return
	}
	p.cfg.Inject.Send(lcore.InjectKernel, frame)
}

// Positions of the protocol addresses in an ARP frame (RFC 826).
const (
	arpSender = frame.EthernetLen + 14
	arpTarget = arpSender + 10
	arpEnd    = arpTarget + 4
)

// claimedBy says whether a frame of the kernel speaks for a VIP or asks for one: ARP with a VIP as sender or target,
// or a packet from a VIP. Such frames would tell the segment of a second holder.
func (s vipSet) claimedBy(b []byte) bool {
	if len(b) < frame.EthernetLen+frame.IPv4Len {
		return false
	}
	switch (*frame.Ethernet)(b).Type() {
	case frame.EtherTypeARP:
		return len(b) >= arpEnd && (s.has(b[arpSender:]) || s.has(b[arpTarget:]))
	case frame.EtherTypeIPv4:
		return s.has(b[ipv4Source:])
	}
	return false
}

// has says whether the four bytes at the start of b are a VIP.
func (s vipSet) has(b []byte) bool {
	_, ok := s[address(b)]
	return ok
}

// Stats are counters since the start, in frames.
type Stats struct {
	ToKernel     uint64 // punted frames that the kernel got
	FromKernel   uint64 // frames that the kernel sent, the swallowed ones included
	Swallowed    uint64 // frames of the kernel that spoke of a VIP
	EchoReplies  uint64 // echo requests to VIPs that were answered
	Unreachables uint64 // packets for which there was no real server, and whose senders were told
	WriteErrors  uint64 // punted frames that the TAP refused
	InjectFull   uint64 // frames lost because the ring to the lcore was full
	InjectLong   uint64 // frames lost because they are longer than a ring carries
}

// Stats reads the counters.
func (p *Path) Stats() Stats {
	return Stats{
		ToKernel:     p.toKernel.Load(),
		FromKernel:   p.fromKernel.Load(),
		Swallowed:    p.swallowed.Load(),
		EchoReplies:  p.echoReplies.Load(),
		Unreachables: p.unreachables.Load(),
		WriteErrors:  p.writeErrors.Load(),
		InjectFull:   p.cfg.Inject.full.Load(),
		InjectLong:   p.cfg.Inject.long.Load(),
	}
}

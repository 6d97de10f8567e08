// Package neigh speaks with the neighbours on the segment: Guard answers ARP for the VIPs, announces them and notices
// who else claims them, or a real server's address; Neighbours follows the MAC of each real server in the kernel's
// neighbour table.
package neigh

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"turnout/lcore/frame"
)

// State is what the director says about a VIP on the segment.
type State uint8

// The states. Only an announced VIP is answered for.
const (
	Standby   State = iota // silent, because the role is standby
	LinkDown               // silent, until the link comes up
	Probing                // asking whether another machine holds it
	Conflict               // another machine holds it; asked for again every 5 to 15 s
	Announced              // ours
)

var stateNames = [...]string{Standby: "standby", LinkDown: "link_down", Probing: "probing", Conflict: "conflict", Announced: "announced"}

// String is the state's name in the API.
func (s State) String() string { return stateNames[s] }

// VIP is what is known of a VIP on the segment.
type VIP struct {
	Address netip.Addr
	State   State
}

// Config says for whom a Guard speaks. OnChange may be nil, all else must be set.
type Config struct {
	PortMAC frame.MAC
	DIP     netip.Prefix // VIPs outside its subnet are routed to the DIP: answered, but not announced
	Active  bool         // the role at the start
	Defend  bool         // announce a VIP once more when another machine claims it
	// Send puts a copy of a frame on the segment, or answers false when it cannot now. It must neither block nor call
	// the Guard.
	Send func(frame []byte) bool
	// OnChange is called by Run's goroutine after the state of VIPs or the claims changed.
	OnChange func()
	Log      *zap.Logger
}

// Guard speaks for the VIPs on the segment. Its methods are safe for concurrent use.
type Guard struct {
	cfg  Config
	kick chan struct{} // wakes Run: something is due earlier than it knew

	mu      sync.Mutex
	active  bool
	linkUp  bool
	vips    map[netip.Addr]*vip
	servers map[netip.Addr]*server
	changed bool      // OnChange is to be called
	resume  time.Time // nothing is sent before, because much was
	nextAsk time.Time // no question that can wait is sent before

	insistSince time.Time // begin of the second in which insisted counts
	insisted    int
}

// vip is a VIP with what is to be sent for it. A zero time stands for never.
type vip struct {
	VIP
	claims    claims // by other machines; beside Announced they are an alarm
	routed    bool
	probes    int // sent in this round
	nextProbe time.Time
	garps     int // still to be sent in quick succession
	nextGARP  time.Time
	defended  time.Time // when a claim was last answered
}

// New makes a Guard without VIPs, whose link is down until LinkUp says otherwise.
func New(cfg Config) *Guard {
	return &Guard{cfg: cfg, kick: make(chan struct{}, 1), active: cfg.Active, vips: map[netip.Addr]*vip{}}
}

// SetVIPs replaces the set of VIPs. New ones are probed before they are announced; the others go on as they were.
func (g *Guard) SetVIPs(vips []netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.vips, func(addr netip.Addr, _ *vip) bool { return !slices.Contains(vips, addr) })
	for _, addr := range vips {
		if g.vips[addr] == nil {
			v := &vip{VIP: VIP{Address: addr}, routed: !g.cfg.DIP.Contains(addr)}
			g.vips[addr] = v
			g.begin(v)
		}
	}
	g.noteChange()
}

// LinkUp tells the state of the port's link. When it comes up, VIPs are probed and announced anew: another machine may
// have taken them meanwhile.
func (g *Guard) LinkUp(up bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if up == g.linkUp {
		return
	}
	g.linkUp = up
	g.restart(g.begin)
}

// SetActive sets the role. Who becomes active takes over: it announces every VIP at once, because the former holder
// was told to be silent, and probes afterwards to raise the alarm if it is not. Who is active already and told so again
// announces once more what it holds: another director may have held it as well, and was told to be silent.
func (g *Guard) SetActive(active bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if active == g.active {
		g.announceAgain()
		return
	}
	g.active = active
	g.restart(g.takeOver)
}

func (g *Guard) announceAgain() {
	now := time.Now()
	for _, v := range g.vips {
		if v.State == Announced && !v.routed {
			g.announce(v, now)
			v.claims, v.nextProbe = nil, now.Add(verifyAfter)
		}
	}
	g.noteChange()
}

// restart forgets what was going on for every VIP and starts again.
func (g *Guard) restart(start func(*vip)) {
	for _, v := range g.vips {
		*v = vip{VIP: VIP{Address: v.Address}, routed: v.routed}
		start(v)
	}
	g.noteChange()
}

// VIPs lists the VIPs by address.
func (g *Guard) VIPs() []VIP {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]VIP, 0, len(g.vips))
	for _, v := range g.vips {
		list = append(list, v.VIP)
	}
	slices.SortFunc(list, func(a, b VIP) int { return a.Address.Compare(b.Address) })
	return list
}

// HandleARP looks at an ARP frame from the segment: a request for an announced VIP is answered, a claim of another
// machine is noticed. It answers true for every frame that names a VIP, as sender or target, and for what answers a
// question of the Guard's: the kernel must neither see it nor learn a neighbour from it. It keeps nothing of the frame.
func (g *Guard) HandleARP(b []byte) (consumed bool) {
	a, ok := parseARP(b)
	if !ok {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.sha == g.cfg.PortMAC || a.sha.Group() || a.sha == (frame.MAC{}) {
		return g.vips[a.spa] != nil || g.vips[a.tpa] != nil // an echo of our own, or from nobody who could be answered
	}
	consumed = g.hearServer(a)
	if v := g.vips[a.spa]; v != nil {
		g.claimed(v, a.sha)
		consumed = true
	}
	if v := g.vips[a.tpa]; v != nil {
		g.asked(v, a)
		consumed = true
	}
	return consumed
}

// asked answers a request for v, or notices that another machine probes for it at the same time (RFC 5227 section
// 2.1.1): then both step back.
func (g *Guard) asked(v *vip, a arp) {
	switch {
	case a.op != opRequest || a.spa == a.tpa:
	case v.State == Announced:
		g.cfg.Send(a.reply(g.cfg.PortMAC))
		g.insist(v, a.sha, time.Now())
	case a.spa.IsUnspecified():
		g.claimed(v, a.sha)
	}
}

// Tell has OnChange called although nothing changed: what is known of those who claim an address may have.
func (g *Guard) Tell() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noteChange()
}

// noteChange has Run call OnChange, and look at what is due.
func (g *Guard) noteChange() {
	g.changed = true
	g.wake()
}

// wake lets Run look at what is due.
func (g *Guard) wake() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

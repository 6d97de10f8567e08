package neigh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"turnout/lcore/frame"
)

const (
	// The kernel asks for a neighbour only while somebody uses it: each target is used this often.
	useMin    = 5 * time.Second
	useJitter = 5 * time.Second

	// resyncInterval bounds how long a lost message can go unnoticed.
	resyncInterval = 30 * time.Second

	// subscribeRetry is the pause before a lost subscription is renewed.
	subscribeRetry = 100 * time.Millisecond
)

// updateBuffer is room for the messages of some ten thousand neighbours, in bytes. A variable for tests.
var updateBuffer = 4 << 20

// Neighbour is a target and what the kernel knows of it.
type Neighbour struct {
	Address netip.Addr
	MAC     frame.MAC // the last one confirmed; zero: never known, the real server is unusable
	State   NUD
}

// NUD is the kernel's state of a neighbour (neighbour unreachability detection).
type NUD uint16

var nudNames = map[NUD]string{
	unix.NUD_NONE: "none", unix.NUD_INCOMPLETE: "incomplete", unix.NUD_REACHABLE: "reachable", unix.NUD_STALE: "stale",
	unix.NUD_DELAY: "delay", unix.NUD_PROBE: "probe", unix.NUD_FAILED: "failed", unix.NUD_NOARP: "noarp", unix.NUD_PERMANENT: "permanent",
}

// String is the state's name as ip-neighbour(8) writes it.
func (s NUD) String() string { return nudNames[s] }

const (
	nudConfirmed = unix.NUD_REACHABLE | unix.NUD_PERMANENT | unix.NUD_NOARP
	nudUsable    = nudConfirmed | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE
)

// NeighboursConfig says whose neighbours are followed. All fields must be set.
type NeighboursConfig struct {
	Index int // of kernel_interface
	// Update gets the MAC of every target that has one, each time that one became known or changed. The map is the
	// callee's to keep. It is called by Run's goroutine.
	Update func(macs map[netip.Addr]frame.MAC)
	Log    *zap.Logger
}

// Neighbours follows the MAC addresses of targets, the real servers, in the kernel's neighbour table, and keeps the
// kernel asking for them. Its methods are safe for concurrent use.
type Neighbours struct {
	cfg  NeighboursConfig
	kick chan struct{} // wakes Run: the whole table is to be read

	mu      sync.Mutex
	targets map[netip.Addr]*target
	most    int // targets that there were at once, so far
}

type target struct {
	Neighbour
	nextUse time.Time
}

// lose notes that the kernel's table no longer has the target, which is to be resolved anew. Its last MAC stays.
func (t *target) lose() { t.State, t.nextUse = unix.NUD_NONE, time.Time{} }

// NewNeighbours makes a Neighbours without targets.
func NewNeighbours(cfg NeighboursConfig) *Neighbours {
	return &Neighbours{cfg: cfg, kick: make(chan struct{}, 1), targets: map[netip.Addr]*target{}}
}

// SetTargets replaces the set of targets. What is known of those that stay is kept. It warns where they are more than
// ever before and too many for the kernel's neighbour table.
func (n *Neighbours) SetTargets(addrs []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	wanted := make(map[netip.Addr]bool, len(addrs))
	for _, addr := range addrs {
		wanted[addr] = true
	}
	maps.DeleteFunc(n.targets, func(addr netip.Addr, _ *target) bool { return !wanted[addr] })
	for _, addr := range addrs {
		if n.targets[addr] == nil {
			n.targets[addr] = &target{Neighbour: Neighbour{Address: addr}}
		}
	}
	if len(n.targets) > n.most {
		n.most = len(n.targets)
		n.checkLimits(n.most)
	}
	n.wake()
}

// wake has Run read the whole table.
func (n *Neighbours) wake() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// List lists the targets by address.
func (n *Neighbours) List() []Neighbour {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make([]Neighbour, 0, len(n.targets))
	for _, t := range n.targets {
		list = append(list, t.Neighbour)
	}
	slices.SortFunc(list, func(a, b Neighbour) int { return a.Address.Compare(b.Address) })
	return list
}

// MACs gives the MAC of every target that has one.
func (n *Neighbours) MACs() map[netip.Addr]frame.MAC {
	macs := map[netip.Addr]frame.MAC{}
	for _, neighbour := range n.List() {
		if neighbour.MAC != (frame.MAC{}) {
			macs[neighbour.Address] = neighbour.MAC
		}
	}
	return macs
}

// Run follows the neighbour table of the network namespace until ctx ends. It outlives lost subscriptions, such as the
// one that ends when the kernel had more to say than there was room for.
func (n *Neighbours) Run(ctx context.Context) error {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink to follow neighbours: %w", err)
	}
	defer handle.Close()
	for {
		if err := n.follow(ctx, handle); err != nil {
			n.cfg.Log.Warn("lost the kernel's neighbour messages: subscribing again", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(subscribeRetry):
		}
	}
}

// follow subscribes and keeps up until ctx ends (nil) or the subscription does.
func (n *Neighbours) follow(ctx context.Context, handle *netlink.Handle) error {
	updates := make(chan netlink.NeighUpdate, 256)
	lost := make(chan error, 1)
	done := make(chan struct{})
	err := netlink.NeighSubscribeWithOptions(updates, done, netlink.NeighSubscribeOptions{
		ReceiveBufferSize: updateBuffer, ReceiveBufferForceSize: true,
		ErrorCallback: func(err error) {
			select {
			case lost <- err:
			default:
			}
		},
	})
	if err != nil {
		close(done)
		return fmt.Errorf("subscribe: %w", err)
	}
	defer func() {
		close(done)
		for range updates { // until the subscriber has ended
		}
	}()

	use := time.NewTicker(time.Second)
	defer use.Stop()
	resync := time.NewTicker(resyncInterval)
	defer resync.Stop()
	n.resync(handle)
	for {
		select {
		case <-ctx.Done():
			return nil
		case update, ok := <-updates:
			if !ok {
				return <-lost
			}
			n.apply(handle, update)
		case <-n.kick:
			n.resync(handle)
		case <-resync.C:
			n.resync(handle)
		case <-use.C:
			n.use(handle)
		}
	}
}

// resync reads the whole table: the state before the first message, and whatever a message lost.
func (n *Neighbours) resync(handle *netlink.Handle) {
	list, err := handle.NeighList(n.cfg.Index, netlink.FAMILY_V4)
	if errors.Is(err, netlink.ErrDumpInterrupted) { // the table changed meanwhile: read it again
		n.wake()
		return
	}
	if err != nil {
		n.cfg.Log.Warn("cannot read the kernel's neighbour table: trying again within 30 s", zap.Error(err))
		return
	}
	seen := map[netip.Addr]bool{}
	for _, neighbour := range list {
		n.apply(handle, netlink.NeighUpdate{Type: unix.RTM_NEWNEIGH, Neigh: neighbour})
		if addr, ok := netip.AddrFromSlice(neighbour.IP); ok {
			seen[addr.Unmap()] = true
		}
	}
	n.loseUnseen(seen)
	n.use(handle)
}

// loseUnseen notes the targets that the table does not have.
func (n *Neighbours) loseUnseen(seen map[netip.Addr]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for addr, t := range n.targets {
		if !seen[addr] {
			t.lose()
		}
	}
}

// apply takes over what the kernel says of one neighbour.
func (n *Neighbours) apply(handle *netlink.Handle, update netlink.NeighUpdate) {
	addr, ok := netip.AddrFromSlice(update.IP)
	if !ok || update.LinkIndex != n.cfg.Index || update.Flags&netlink.NTF_PROXY != 0 {
		return
	}
	n.mu.Lock()
	changed, doubtful := n.note(addr.Unmap(), update)
	n.mu.Unlock()
	if doubtful {
		n.confirm(handle, update.Neigh)
	}
	if changed {
		n.cfg.Update(n.MACs())
	}
}

// note stores the state of a target, and its MAC when it is to be believed: a first one always, another one only once
// the kernel has confirmed it. doubtful tells of one that is not confirmed yet.
func (n *Neighbours) note(addr netip.Addr, update netlink.NeighUpdate) (changed, doubtful bool) {
	t := n.targets[addr]
	if t == nil {
		return false, false
	}
	if update.Type == unix.RTM_DELNEIGH {
		t.lose()
		return false, false
	}
	t.State = NUD(update.State)
	if update.State&nudUsable == 0 || len(update.HardwareAddr) != len(t.MAC) {
		return false, false
	}
	mac := frame.MAC(update.HardwareAddr)
	if mac == t.MAC || mac == (frame.MAC{}) || mac.Group() {
		return false, false
	}
	if t.MAC != (frame.MAC{}) && update.State&nudConfirmed == 0 {
		return false, update.State&(unix.NUD_STALE|unix.NUD_DELAY) != 0
	}
	n.cfg.Log.Info("real server's MAC", zap.Stringer("real_server", addr), zap.Stringer("mac", mac), zap.Stringer("before", t.MAC))
	t.MAC = mac
	return true, false
}

// confirm makes the kernel ask the neighbour at its new MAC now; by itself it would wait for five seconds of use.
func (n *Neighbours) confirm(handle *netlink.Handle, neighbour netlink.Neigh) {
	neighbour.State = unix.NUD_PROBE
	n.set(handle, neighbour)
}

// use tells the kernel that the targets whose time has come are in use, so that it asks for those it does not know and
// soon for those that are stale.
func (n *Neighbours) use(handle *netlink.Handle) {
	for _, addr := range n.toUse(time.Now()) {
		n.set(handle, netlink.Neigh{LinkIndex: n.cfg.Index, IP: addr.AsSlice(), Flags: netlink.NTF_USE})
	}
}

func (n *Neighbours) toUse(now time.Time) (addrs []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for addr, t := range n.targets {
		if !t.nextUse.After(now) {
			t.nextUse = now.Add(useMin + rand.N(useJitter))
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// set changes an entry of the neighbour table. A full table or an interface that is down mend themselves later.
func (n *Neighbours) set(handle *netlink.Handle, neighbour netlink.Neigh) {
	err := handle.NeighSet(&neighbour)
	if err != nil && !errors.Is(err, unix.ENETDOWN) {
		n.cfg.Log.Warn("cannot have the kernel resolve a real server: trying again within 10 s", zap.Stringer("real_server", neighbour.IP), zap.Error(err))
	}
}

package neigh_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/zap/zaptest"

	"turnout/lcore/frame"
	"turnout/mgmt/internal/netlab"
	"turnout/mgmt/neigh"
)

func TestMain(m *testing.M) { netlab.Main(m) }

var (
	rip1 = netip.MustParseAddr("192.168.57.121")
	rip2 = netip.MustParseAddr("192.168.57.122")
	dead = netip.MustParseAddr("192.168.57.123")

	firstMAC  = frame.MAC{2, 0, 0, 0, 1, 0x21}
	secondMAC = frame.MAC{2, 0, 0, 0, 2, 0x21}
)

// lan is a director's end with the DIP and a real server at rip1, joined by a veth pair.
type lan struct {
	*neigh.Neighbours
	t          *testing.T
	realServer *netlab.Host
	updates    chan map[netip.Addr]frame.MAC
	end        func()
}

func newLAN(t *testing.T) *lan {
	l := &lan{t: t, realServer: netlab.NewHost(t, "dip0", rip1.String()+"/24"), updates: make(chan map[netip.Addr]frame.MAC, 100)}
	netlab.Run(t, "ip", "addr", "add", dip.String(), "dev", "dip0")
	netlab.Run(t, "sysctl", "-q", "-w", "net/ipv4/neigh/dip0/retrans_time_ms=100") // failure shows after 0.3 s, not 3 s
	netlab.Run(t, "ip", "link", "set", "dip0", "up")
	l.setMAC(firstMAC)
	link, err := netlink.LinkByName("dip0")
	if err != nil {
		t.Fatal(err)
	}
	l.Neighbours = neigh.NewNeighbours(neigh.NeighboursConfig{Index: link.Attrs().Index, Log: zaptest.NewLogger(t),
		Update: func(macs map[netip.Addr]frame.MAC) { l.updates <- macs }})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	l.end = func() {
		stop()
		if err := errors.Join(<-ended); err != nil {
			t.Error(err)
		}
		l.end = func() {}
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *lan) setMAC(mac frame.MAC) {
	l.t.Helper()
	l.realServer.Run("ip", "link", "set", "eth0", "address", mac.String())
}

// update expects the next update within a second.
func (l *lan) update(want map[netip.Addr]frame.MAC) {
	l.t.Helper()
	select {
	case got := <-l.updates:
		if !maps.Equal(got, want) {
			l.t.Errorf("update %v, want %v", got, want)
		}
	case <-time.After(time.Second):
		l.t.Errorf("no update within a second, want %v; the kernel has:\n%s", want, netlab.Run(l.t, "ip", "neigh"))
	}
}

// want waits up to five seconds for a state of the targets.
func (l *lan) want(states ...neigh.Neighbour) {
	l.t.Helper()
	want := fmt.Sprint(states)
	got := ""
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got = fmt.Sprint(l.List()); got == want {
			return
		}
	}
	l.t.Errorf("targets %s, want %s", got, want)
}

const (
	none      neigh.NUD = 0
	reachable neigh.NUD = netlink.NUD_REACHABLE
	failed    neigh.NUD = netlink.NUD_FAILED
)

func TestTargetsAreResolved(t *testing.T) {
	l := newLAN(t)
	l.SetTargets([]netip.Addr{rip1, dead})
	l.update(map[netip.Addr]frame.MAC{rip1: firstMAC})
	l.want(neigh.Neighbour{Address: rip1, MAC: firstMAC, State: reachable}, neigh.Neighbour{Address: dead, State: failed})

	l.realServer.Run("ip", "addr", "add", rip2.String()+"/24", "dev", "eth0")
	l.SetTargets([]netip.Addr{rip1, rip2})
	l.update(map[netip.Addr]frame.MAC{rip1: firstMAC, rip2: firstMAC})
	l.want(neigh.Neighbour{Address: rip1, MAC: firstMAC, State: reachable}, neigh.Neighbour{Address: rip2, MAC: firstMAC, State: reachable})
	if macs := l.MACs(); len(macs) != 2 {
		t.Errorf("MACs %v", macs)
	}
	l.SetTargets(nil)
	l.want()
}

// TestNewMACIsSeenAtOnce: the real server speaks from a new MAC, and the kernel only believes it for now.
func TestNewMACIsSeenAtOnce(t *testing.T) {
	l := newLAN(t)
	l.SetTargets([]netip.Addr{rip1})
	l.update(map[netip.Addr]frame.MAC{rip1: firstMAC})

	time.Sleep(1100 * time.Millisecond) // the kernel takes no other MAC within its locktime of a second
	l.setMAC(secondMAC)
	start := time.Now()
	l.realServer.Run("ping", "-q", "-c", "1", dip.Addr().String())
	l.update(map[netip.Addr]frame.MAC{rip1: secondMAC})
	t.Logf("new MAC known %v after the real server spoke", time.Since(start))
	l.want(neigh.Neighbour{Address: rip1, MAC: secondMAC, State: reachable})
}

// TestUnconfirmedMACIsNotUsed: somebody claims the real server's address, but nobody answers at the MAC he names.
func TestUnconfirmedMACIsNotUsed(t *testing.T) {
	l := newLAN(t)
	l.SetTargets([]netip.Addr{rip1})
	l.update(map[netip.Addr]frame.MAC{rip1: firstMAC})
	netlab.Run(t, "ip", "neigh", "replace", rip1.String(), "lladdr", otherMAC.String(), "dev", "dip0", "nud", "stale")
	l.want(neigh.Neighbour{Address: rip1, MAC: firstMAC, State: netlink.NUD_PROBE})
	l.want(neigh.Neighbour{Address: rip1, MAC: firstMAC, State: failed})
	if len(l.updates) > 0 {
		t.Errorf("update %v for a MAC at which nobody answers", <-l.updates)
	}
	netlab.Run(t, "ip", "neigh", "replace", rip1.String(), "lladdr", otherMAC.String(), "dev", "dip0", "nud", "permanent")
	l.update(map[netip.Addr]frame.MAC{rip1: otherMAC})
}

func TestLostNeighbourKeepsItsMAC(t *testing.T) {
	l := newLAN(t)
	l.SetTargets([]netip.Addr{rip1})
	l.update(map[netip.Addr]frame.MAC{rip1: firstMAC})
	netlab.Run(t, "ip", "neigh", "del", rip1.String(), "dev", "dip0")
	l.realServer.Run("ip", "link", "set", "eth0", "arp", "off")
	l.want(neigh.Neighbour{Address: rip1, MAC: firstMAC, State: failed})

	l.setMAC(secondMAC)
	l.realServer.Run("ip", "link", "set", "eth0", "arp", "on")
	netlab.Run(t, "ping", "-q", "-c", "1", "-W", "3", rip1.String())
	l.update(map[netip.Addr]frame.MAC{rip1: secondMAC})
}

func TestOnlyItsOwnInterfaceCounts(t *testing.T) {
	l := newLAN(t)
	netlab.NewHost(t, "lan", "192.168.57.1/24")
	netlab.Run(t, "ip", "link", "set", "lan", "up")
	l.SetTargets([]netip.Addr{rip1, dead})
	l.update(map[netip.Addr]frame.MAC{rip1: firstMAC})
	for _, addr := range []netip.Addr{rip1, dead} {
		netlab.Run(t, "ip", "neigh", "replace", addr.String(), "lladdr", otherMAC.String(), "dev", "lan", "nud", "permanent")
	}
	netlab.Run(t, "ip", "neigh", "replace", rip2.String(), "lladdr", otherMAC.String(), "dev", "dip0", "nud", "permanent")
	l.want(neigh.Neighbour{Address: rip1, MAC: firstMAC, State: reachable}, neigh.Neighbour{Address: dead, State: failed})
	if len(l.updates) > 0 {
		t.Errorf("update %v", <-l.updates)
	}
	l.SetTargets([]netip.Addr{rip2}) // the kernel knows it and has nothing new to say
	l.update(map[netip.Addr]frame.MAC{rip2: otherMAC})
}

// TestLostMessagesAreMadeUpFor stops listening while the kernel says more than there is room for.
func TestLostMessagesAreMadeUpFor(t *testing.T) {
	defer neigh.SetUpdateBuffer(4096)()
	l := newLAN(t)
	l.updates = make(chan map[netip.Addr]frame.MAC) // Update blocks
	l.SetTargets([]netip.Addr{rip1, dead})
	var batch strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&batch, "neigh replace 192.168.57.%d lladdr 02:00:00:00:09:%02x dev dip0 nud permanent\n", 1+i%99, i%256)
	}
	fmt.Fprintf(&batch, "neigh replace %s lladdr %s dev dip0 nud permanent\nneigh del %s dev dip0\n", dead, otherMAC, rip1)
	time.Sleep(200 * time.Millisecond) // now it waits in Update with rip1
	file := t.TempDir() + "/batch"
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	l.realServer.Run("ip", "link", "set", "eth0", "arp", "off")
	netlab.Run(t, "ip", "-batch", file)
	l.update(map[netip.Addr]frame.MAC{rip1: firstMAC})
	l.update(map[netip.Addr]frame.MAC{rip1: firstMAC, dead: otherMAC})
	l.want(neigh.Neighbour{Address: rip1, MAC: firstMAC, State: failed}, neigh.Neighbour{Address: dead, MAC: otherMAC, State: netlink.NUD_PERMANENT})
}

func TestNeighboursEndAndLeaveNothing(t *testing.T) {
	netlab.Require(t)
	before := runtime.NumGoroutine()
	l := newLAN(t)
	l.SetTargets([]netip.Addr{rip1})
	l.update(map[netip.Addr]frame.MAC{rip1: firstMAC})
	start := time.Now()
	l.end()
	if took := time.Since(start); took > 200*time.Millisecond {
		t.Errorf("ending took %v", took)
	}
	for end := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

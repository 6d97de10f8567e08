package punt_test

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"turnout/mgmt/internal/netlab"
	"turnout/mgmt/punt"
)

func TestListingsAreRepeatedUntilTheyAreWhole(t *testing.T) {
	calls := 0
	interrupted := func(times int) func() ([]int, error) {
		calls = 0
		return func() ([]int, error) {
			if calls++; calls <= times {
				return nil, netlink.ErrDumpInterrupted
			}
			return []int{calls}, nil
		}
	}
	if got, err := punt.Settled(interrupted(2)); err != nil || len(got) != 1 || got[0] != 3 {
		t.Errorf("interrupted twice: %v, %v", got, err)
	}
	if _, err := punt.Settled(interrupted(1000)); !errors.Is(err, netlink.ErrDumpInterrupted) || calls != punt.ListTries {
		t.Errorf("interrupted for ever: %v after %d calls", err, calls)
	}
	if _, err := punt.Settled(func() ([]int, error) { calls++; return nil, os.ErrPermission }); !errors.Is(err, os.ErrPermission) || calls != punt.ListTries+1 {
		t.Errorf("another failure: %v after %d calls", err, calls)
	}
}

func TestFluxStory(t *testing.T) {
	openTAP(t)
	expect := func(step, want string) {
		t.Helper()
		got := ""
		if err := punt.CheckFlux(dip, "dip0"); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", step, got, want)
		}
	}
	run := func(command ...string) { t.Helper(); netlab.Run(t, command...) }
	const elsewhere = ", or run turnout in a network namespace of its own"

	expect("lo and the kernel interface alone", "")
	netlab.NewHost(t, "lan.5", "192.168.57.1/24")
	expect("another interface, down", "")

	run("ip", "link", "set", "lan.5", "up")
	answers := "interface lan.5 would answer ARP for the DIP 192.168.57.120 and draw its traffic away from the port: "
	expect("up, without an address", answers+"sysctl -w net/ipv4/conf/lan.5/arp_ignore=1"+elsewhere)

	run("ip", "addr", "add", "192.168.57.5/24", "dev", "lan.5")
	sameAddress := "interface lan.5 has the address 192.168.57.5/24 in the DIP's subnet 192.168.57.0/24, and traffic to real servers would bypass the port: ip addr del 192.168.57.5/24 dev lan.5" + elsewhere
	expect("up, in the DIP's subnet", answers+"sysctl -w net/ipv4/conf/lan.5/arp_ignore=1"+elsewhere+"\n"+sameAddress)

	run("sysctl", "-q", "-w", "net/ipv4/conf/lan.5/arp_ignore=1")
	expect("after the sysctl", sameAddress)
	run("ip", "addr", "del", "192.168.57.5/24", "dev", "lan.5")
	expect("after the address is gone", "")

	run("ip", "route", "add", "192.168.57.128/25", "dev", "lan.5")
	expect("a route to a part of the subnet", "interface lan.5 has the route 192.168.57.128/25 in the DIP's subnet 192.168.57.0/24, and traffic to real servers would bypass the port: ip route del 192.168.57.128/25 dev lan.5"+elsewhere)
	run("ip", "route", "del", "192.168.57.128/25", "dev", "lan.5")

	run("ip", "addr", "add", "10.0.0.5/24", "dev", "lan.5")
	run("ip", "route", "add", "192.168.0.0/16", "dev", "lan.5")
	run("ip", "route", "add", "default", "via", "10.0.0.1")
	expect("a management NIC with wider routes", "")

	run("sysctl", "-q", "-w", "net/ipv4/conf/all/arp_ignore=3")
	expect("all says more than the interface", answers+"sysctl -w net/ipv4/conf/all/arp_ignore=1"+elsewhere)
	run("sysctl", "-q", "-w", "net/ipv4/conf/all/arp_ignore=1")
	run("sysctl", "-q", "-w", "net/ipv4/conf/lan.5/arp_ignore=0")
	expect("all is enough", "")
	run("sysctl", "-q", "-w", "net/ipv4/conf/all/arp_ignore=0")

	run("ip", "link", "set", "lan.5", "arp", "off")
	expect("an interface without ARP", "")
	run("ip", "link", "set", "lan.5", "arp", "on")
	run("ip", "link", "add", "br0", "type", "bridge")
	t.Cleanup(func() { netlab.Run(t, "ip", "link", "del", "br0") })
	run("ip", "link", "set", "lan.5", "master", "br0")
	expect("a member of a bridge that is down", "")
	run("ip", "link", "set", "br0", "up")
	expect("a bridge", "interface br0 would answer ARP for the DIP 192.168.57.120 and draw its traffic away from the port: sysctl -w net/ipv4/conf/br0/arp_ignore=1"+elsewhere)
}

// TestFluxIsReal shows what CheckFlux is for: the kernel answers ARP for the DIP on another interface, and no longer
// after the command that the error names.
func TestFluxIsReal(t *testing.T) {
	openTAP(t)
	host := netlab.NewHost(t, "lan", "192.168.57.1/24")
	netlab.Run(t, "ip", "link", "set", "lan", "up")
	resolves := func() bool {
		host.Run("ip", "neigh", "flush", "all")
		out := host.Run("sh", "-c", "arping -c 2 -w 1 -f -I eth0 192.168.57.120 || true")
		return containsReply(out)
	}
	if punt.CheckFlux(dip, "dip0") == nil {
		t.Error("flux is not seen")
	}
	if !resolves() {
		t.Error("the kernel does not answer for the DIP on lan: nothing to guard against")
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/lan/arp_ignore", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	if err := punt.CheckFlux(dip, "dip0"); err != nil {
		t.Error(err)
	}
	if resolves() {
		t.Error("the kernel still answers")
	}
}

func TestVIPHeldByTheKernel(t *testing.T) {
	openTAP(t)
	other := netip.MustParseAddr("192.168.57.101")
	expect := func(step, want string) {
		t.Helper()
		got := ""
		if err := punt.CheckVIPs([]netip.Addr{vip, other}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", step, got, want)
		}
	}
	expect("none", "")
	netlab.Run(t, "ip", "addr", "add", "192.168.57.100/32", "dev", "dip0")
	expect("on the kernel interface", "the VIP 192.168.57.100 is held by the director's kernel, as 192.168.57.100/32 on dip0: remove it (ip addr del 192.168.57.100/32 dev dip0); turnout alone answers for VIPs")
	netlab.Run(t, "ip", "addr", "del", "192.168.57.100/32", "dev", "dip0")
	netlab.Run(t, "ip", "addr", "add", "192.168.57.101/32", "dev", "lo")
	expect("on loopback", "the VIP 192.168.57.101 is held by the director's kernel, as 192.168.57.101/32 on lo: remove it (ip addr del 192.168.57.101/32 dev lo); turnout alone answers for VIPs")
	netlab.Run(t, "ip", "addr", "del", "192.168.57.101/32", "dev", "lo")
	netlab.Run(t, "ip", "addr", "add", "192.168.57.7/28", "dev", "lo")
	expect("a subnet on loopback beside it", "")
	netlab.Run(t, "ip", "addr", "del", "192.168.57.7/28", "dev", "lo")
	netlab.Run(t, "ip", "addr", "add", "192.168.57.7/24", "dev", "lo")
	both := "the VIP 192.168.57.100 is held by the director's kernel, as 192.168.57.7/24 on lo: remove it (ip addr del 192.168.57.7/24 dev lo); turnout alone answers for VIPs"
	expect("a subnet on loopback makes all of it local", both)
	netlab.Run(t, "ip", "addr", "del", "192.168.57.7/24", "dev", "lo")
}

func containsReply(arping string) bool { return strings.Contains(arping, "reply from") }

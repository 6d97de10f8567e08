package punt

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Fault is something on this host that would speak for the DIP or a VIP beside turnout.
type Fault struct {
	What string // what it is, and what it does
	Mend string // the command that mends it
	text string // both, and what else may be done
}

// Error implements error.
func (f *Fault) Error() string { return f.text }

// orElsewhere is a Fault that does not matter in a network namespace of turnout's own.
func orElsewhere(mend, what string, args ...any) *Fault {
	what = fmt.Sprintf(what, args...)
	return &Fault{what, mend, what + ": " + mend + ", or run turnout in a network namespace of its own"}
}

// CheckFlux looks in this network namespace for an interface, other than own, that would take the DIP's part on the
// segment (ARP flux): one that would answer ARP for the DIP, or one with an address or route in the DIP's subnet.
// Hosts on the segment would then learn that interface's MAC for the DIP: ping works, but the port is bypassed.
// The error joins a *Fault for every such interface. Loopback and interfaces without ARP are let be,
// and so are members of a bridge or bond, for which their master speaks.
func CheckFlux(dip netip.Prefix, own string) error {
	links, err := settled(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("list interfaces to look for ARP flux: %w", err)
	}
	var faults []error
	for _, link := range links {
		if l := link.Attrs(); l.Name != own && speaksARP(l) {
			faults = append(faults, checkARPIgnore(dip, l.Name), checkSubnet(dip, link))
		}
	}
	return errors.Join(faults...)
}

func speaksARP(l *netlink.LinkAttrs) bool {
	return l.RawFlags&unix.IFF_UP != 0 && l.RawFlags&(unix.IFF_LOOPBACK|unix.IFF_NOARP) == 0 && l.MasterIndex == 0
}

// checkARPIgnore refuses an interface that answers ARP for addresses of other interfaces.
func checkARPIgnore(dip netip.Prefix, iface string) error {
	all, err := arpIgnore("all")
	if err != nil {
		return err
	}
	one, err := arpIgnore(iface)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no IPv4 on it, or just gone
	}
	if err != nil {
		return err
	}
	if ownAddressesOnly(max(all, one)) { // the kernel goes by the larger one
		return nil
	}
	key := iface
	if all > one {
		key = "all"
	}
	return orElsewhere(setARPIgnore(key), "interface %s would answer ARP for the DIP %s and draw its traffic away from the port", iface, dip.Addr())
}

// ownAddressesOnly says whether arp_ignore keeps an interface from answering for addresses of others. Only 1, 2 and 8
// do (kernel document ip-sysctl); 3 does not, and 4 to 7 are reserved and act as 0.
func ownAddressesOnly(arpIgnore int) bool { return arpIgnore == 1 || arpIgnore == 2 || arpIgnore == 8 }

func arpIgnore(iface string) (int, error) {
	text, err := os.ReadFile(ipv4Conf(iface, "arp_ignore"))
	if err != nil {
		return 0, fmt.Errorf("look for ARP flux: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// setARPIgnore is the command for it; with slashes, because an interface's name may have dots.
func setARPIgnore(iface string) string {
	return "sysctl -w net/ipv4/conf/" + iface + "/arp_ignore=1"
}

// checkSubnet refuses an interface with an address in the DIP's subnet, or with a route to it or to a part of it.
func checkSubnet(dip netip.Prefix, link netlink.Link) error {
	name := link.Attrs().Name
	addrs, err := addressesOf(link)
	if err != nil {
		return fmt.Errorf("list addresses of %s to look for ARP flux: %w", name, err)
	}
	for _, a := range addrs {
		if addr, ok := netip.AddrFromSlice(a.IP); ok && dip.Contains(addr.Unmap()) {
			return sameSubnet(dip, name, "address", a.IPNet.String(), "ip addr del")
		}
	}
	routes, err := settled(func() ([]netlink.Route, error) { return netlink.RouteList(link, netlink.FAMILY_V4) })
	if err != nil {
		return fmt.Errorf("list routes of %s to look for ARP flux: %w", name, err)
	}
	for _, r := range routes {
		if within(r, dip) {
			return sameSubnet(dip, name, "route", r.Dst.String(), "ip route del")
		}
	}
	return nil
}

func sameSubnet(dip netip.Prefix, iface, what, prefix, command string) error {
	return orElsewhere(fmt.Sprintf("%s %s dev %s", command, prefix, iface),
		"interface %s has the %s %s in the DIP's subnet %s, and traffic to real servers would bypass the port", iface, what, prefix, dip.Masked())
}

// within says whether a route leads to a part of the subnet. A wider one loses against the kernel interface's own.
func within(r netlink.Route, subnet netip.Prefix) bool {
	if r.Dst == nil {
		return false
	}
	addr, ok := netip.AddrFromSlice(r.Dst.IP)
	bits, _ := r.Dst.Mask.Size()
	return ok && bits >= subnet.Bits() && subnet.Contains(addr.Unmap())
}

// CheckVIPs refuses a VIP that the kernel of this network namespace holds: it would answer for the VIP beside turnout.
// The error joins a *Fault for every such address.
func CheckVIPs(vips []netip.Addr) error {
	links, err := settled(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("list interfaces to look for VIPs: %w", err)
	}
	var faults []error
	for _, link := range links {
		addrs, err := addressesOf(link)
		if err != nil {
			return fmt.Errorf("list addresses of %s to look for VIPs: %w", link.Attrs().Name, err)
		}
		for _, a := range addrs {
			faults = append(faults, checkHeld(vips, link.Attrs(), a))
		}
	}
	return errors.Join(faults...)
}

// checkHeld refuses a VIP that is the address a of an interface. On loopback an address makes its whole subnet local.
func checkHeld(vips []netip.Addr, l *netlink.LinkAttrs, a netlink.Addr) error {
	for _, vip := range vips {
		if a.IP.Equal(vip.AsSlice()) || l.RawFlags&unix.IFF_LOOPBACK != 0 && a.Contains(vip.AsSlice()) {
			what, mend := fmt.Sprintf("the VIP %s is held by the director's kernel, as %s on %s", vip, a.IPNet, l.Name), fmt.Sprintf("ip addr del %s dev %s", a.IPNet, l.Name)
			return &Fault{what, mend, what + ": remove it (" + mend + "); turnout alone answers for VIPs"}
		}
	}
	return nil
}

func addressesOf(link netlink.Link) ([]netlink.Addr, error) {
	return settled(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_V4) })
}

// listTries bounds how often a listing is begun again.
const listTries = 20

// settled repeats a listing until the kernel's tables did not change while they were read, as they do when interfaces
// come and go beside turnout.
func settled[T any](list func() ([]T, error)) (items []T, err error) {
	for range listTries {
		if items, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return items, err
}

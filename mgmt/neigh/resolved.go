package neigh

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"turnout/lcore/frame"
)

// Resolved reads from the kernel's neighbour table who is an address on the interface of that index: false if nobody has
// answered, or the kernel has not asked. It reads the whole table, for rare questions.
func Resolved(index int, address netip.Addr) (frame.MAC, bool) {
	list, err := netlink.NeighList(index, netlink.FAMILY_V4)
	if err != nil {
		return frame.MAC{}, false
	}
	for _, n := range list {
		if a, ok := netip.AddrFromSlice(n.IP); ok && a.Unmap() == address && n.State&nudUsable != 0 && len(n.HardwareAddr) == len(frame.MAC{}) {
			return frame.MAC(n.HardwareAddr), true
		}
	}
	return frame.MAC{}, false
}

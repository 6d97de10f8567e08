package port

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// tapEnd watches the kernel's end of a net_tap device, for labs. The driver looks for it by name in the process's own
// network namespace, and takes the link for down once that end was moved to another.
type tapEnd struct {
	fd        int    // the driver's own, never closed here
	namespace uint64 // inode of the namespace that handle is in
	handle    *netlink.Handle
}

// findTAP finds the driver's file descriptor of the interface; nil if there is none.
func findTAP(iface string) *tapEnd {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, entry := range fds {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name()))
		if err != nil || target != "/dev/net/tun" {
			continue
		}
		if fd, err := strconv.Atoi(entry.Name()); err == nil && tapName(fd) == iface {
			return &tapEnd{fd: fd}
		}
	}
	return nil
}

func tapName(fd int) string {
	request, err := unix.NewIfreq("")
	if err != nil || unix.IoctlIfreq(fd, unix.TUNGETIFF, request) != nil {
		return ""
	}
	return request.Name()
}

// tapInterface is the name that the devargs of a net_tap device give to the kernel's end.
func tapInterface(device string) string {
	for _, arg := range strings.Split(device, ",") {
		if name, ok := strings.CutPrefix(arg, "iface="); ok {
			return name
		}
	}
	return "dtap0" // the driver's own choice for the first device
}

// up says whether the kernel's end is up, in whatever namespace it is. Once after it was moved to another it says no: who
// was told the state of the link then tells the hosts of the new segment what he told those of the old one.
func (t *tapEnd) up() (bool, error) {
	moved, err := t.follow()
	if err != nil {
		return false, fmt.Errorf("find the kernel's end of the TAP: %w", err)
	}
	if moved {
		return false, nil
	}
	l, err := t.handle.LinkByName(tapName(t.fd))
	if err != nil {
		return false, fmt.Errorf("look at the kernel's end of the TAP: %w", err)
	}
	return l.Attrs().RawFlags&(unix.IFF_UP|unix.IFF_RUNNING) == unix.IFF_UP|unix.IFF_RUNNING, nil
}

// follow keeps a netlink handle in the namespace where the interface is now.
func (t *tapEnd) follow() (moved bool, err error) {
	ns, err := unix.IoctlRetInt(t.fd, unix.TUNGETDEVNETNS)
	if err != nil {
		return false, err
	}
	defer unix.Close(ns)
	var stat unix.Stat_t
	if err := unix.Fstat(ns, &stat); err != nil || t.handle != nil && stat.Ino == t.namespace {
		return false, err
	}
	handle, err := handleAt(ns, stat.Ino)
	if err != nil {
		return false, err
	}
	moved = t.handle != nil
	t.close()
	t.handle, t.namespace = handle, stat.Ino
	return moved, nil
}

// handleAt opens a netlink handle in a namespace; only for another one than ours does that need CAP_SYS_ADMIN.
func handleAt(ns int, inode uint64) (*netlink.Handle, error) {
	var own unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &own); err == nil && own.Ino == inode {
		return netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	return netlink.NewHandleAt(netns.NsHandle(ns), unix.NETLINK_ROUTE)
}

// quiet keeps the kernel from answering ARP for its own addresses, the DIP above all, by the kernel's end of a TAP:
// frames for the DIP would come to the port, but past the lcores' counters.
func quiet(iface string) error {
	path := filepath.Join("/proc/sys/net/ipv4/conf", iface, "arp_ignore")
	if now, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(now)) == "1" {
		return nil
	}
	if err := os.WriteFile(path, []byte("1"), 0); err != nil {
		return fmt.Errorf("keep the kernel from answering ARP by %s: %w", iface, err)
	}
	return nil
}

func (t *tapEnd) close() {
	if t.handle != nil {
		t.handle.Close()
		t.handle = nil
	}
}

package punt

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"turnout/lcore"
	"turnout/lcore/frame"
)

// TAPConfig says what the kernel's end looks like.
type TAPConfig struct {
	Name    string       // of the interface: kernel_interface
	MAC     frame.MAC    // the port's own
	Address netip.Prefix // the DIP with its prefix length, IPv4
	MTU     int          // bytes of an IP packet
}

// TAP is the kernel's end of a port: an interface that lives as long as the process holds it, so that not even a
// killed process leaves it behind.
type TAP struct {
	file  *os.File
	name  string
	index int
	mac   frame.MAC
}

const tunDevice = "/dev/net/tun"

// MaxMTU is the longest IP packet that fits the rings between kernel and lcore, in bytes.
const MaxMTU = lcore.RingFrameMax - frame.EthernetLen

// OpenTAP makes the interface in the network namespace of the calling thread and brings it up. IPv6 is off on it, and
// packets leave the kernel with finished checksums and no longer than the MTU, as a port wants them.
// Errors say what to do: no tun device, no privilege, the name in use, an MTU over MaxMTU.
func OpenTAP(cfg TAPConfig) (*TAP, error) {
	if cfg.MTU > MaxMTU {
		return nil, fmt.Errorf("kernel interface %s: an mtu of %d is more than frames between port and kernel can carry: use at most %d",
			cfg.Name, cfg.MTU, MaxMTU)
	}
	fd, err := createTAP(cfg.Name)
	if err != nil {
		return nil, err
	}
	// Only now: a descriptor without its interface is not pollable, and os.File would read it without the poller.
	t := &TAP{file: os.NewFile(uintptr(fd), tunDevice), name: cfg.Name, mac: cfg.MAC}
	if err := t.configure(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("kernel interface %s: %w", cfg.Name, err), t.Close())
	}
	return t, nil
}

// createTAP makes the interface, not persistent, and gives the descriptor that holds it.
func createTAP(name string) (fd int, err error) {
	request, err := unix.NewIfreq(name)
	if err != nil || name == "" {
		return -1, fmt.Errorf("kernel interface %q: an interface name has 1 to %d characters: change kernel_interface", name, unix.IFNAMSIZ-1)
	}
	fd, err = unix.Open(tunDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, explain(name, fmt.Errorf("open %s: %w", tunDevice, err))
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_TUN_EXCL)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return -1, errors.Join(explain(name, fmt.Errorf("create: %w", err)), unix.Close(fd))
	}
	return fd, nil
}

// explain adds to a failure of createTAP what to do about it.
func explain(name string, err error) error {
	if advice := advise(name, err); advice != "" {
		return fmt.Errorf("kernel interface %s: %w: %s", name, err, advice)
	}
	return fmt.Errorf("kernel interface %s: %w", name, err)
}

func advise(name string, err error) string {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return "load the module (modprobe tun), or give the device to the container (--device " + tunDevice + ")"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "run turnout as root or with CAP_NET_ADMIN"
	case errors.Is(err, unix.EBUSY):
		return "another interface has this name: stop the turnout that holds it, remove it (ip link del " + name + "), or change kernel_interface"
	case errors.Is(err, unix.EINVAL):
		return "not an interface name: change kernel_interface"
	}
	return ""
}

// configure gives the new interface its MAC, MTU and address and brings it up.
func (t *TAP) configure(cfg TAPConfig) error {
	if err := t.noOffload(); err != nil {
		return err
	}
	link, err := netlink.LinkByName(cfg.Name)
	if err != nil {
		return fmt.Errorf("look it up: %w", err)
	}
	t.index = link.Attrs().Index
	if err := t.setSysctls(); err != nil {
		return err
	}
	if err := netlink.LinkSetHardwareAddr(link, cfg.MAC[:]); err != nil {
		return fmt.Errorf("set MAC %s: %w", cfg.MAC, err)
	}
	if err := netlink.LinkSetMTU(link, cfg.MTU); err != nil {
		return fmt.Errorf("set mtu %d: %w", cfg.MTU, err)
	}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(cfg.Address)}); err != nil {
		return fmt.Errorf("set address %s: %w", cfg.Address, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring it up: %w", err)
	}
	return nil
}

// noOffload makes the kernel finish checksums and segment before it hands frames out: nothing after it does.
func (t *TAP) noOffload() error {
	raw, err := t.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("turn offloads off: %w", err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.IoctlSetInt(int(fd), unix.TUNSETOFFLOAD, 0) }); err != nil || failed != nil {
		return fmt.Errorf("turn offloads off: %w", errors.Join(err, failed))
	}
	return nil
}

// setSysctls turns IPv6 off, and keeps the kernel from speaking on this segment of addresses that belong to others
// (ARP flux). A kernel without IPv6 has nothing to turn off.
func (t *TAP) setSysctls() error {
	err := setSysctl("/proc/sys/net/ipv6/conf/"+t.name+"/disable_ipv6", "1")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("turn IPv6 off: %w", err)
	}
	for key, value := range map[string]string{"arp_ignore": "1", "arp_announce": "2"} {
		if err := setSysctl(ipv4Conf(t.name, key), value); err != nil {
			return fmt.Errorf("set %s: %w", key, err)
		}
	}
	return nil
}

// ipv4Conf is the file of an IPv4 setting of an interface, or of "all".
func ipv4Conf(iface, key string) string { return "/proc/sys/net/ipv4/conf/" + iface + "/" + key }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Name is the interface's name.
func (t *TAP) Name() string { return t.name }

// Index is the interface's index in its network namespace.
func (t *TAP) Index() int { return t.index }

// interrupt makes reads, now and later, end with os.ErrDeadlineExceeded.
func (t *TAP) interrupt() error { return t.file.SetReadDeadline(time.Unix(1, 0)) }

// Close removes the interface.
func (t *TAP) Close() error { return t.file.Close() }

// setSysctl leaves alone what is as it should be: in a container /proc/sys may be read-only, with the values preset.
func setSysctl(path, value string) error {
	if now, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(now)) == value {
		return nil
	}
	return os.WriteFile(path, []byte(value), 0)
}

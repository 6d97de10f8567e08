package doctor

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Port is a port of turnout.yaml.
type Port struct {
	Device          string
	Virtual         bool         // a vdev, no PCI address
	DIP             netip.Prefix // invalid if turnout.yaml has none
	KernelInterface string
}

// Plan is what turnout.yaml and services.yaml ask of the host.
type Plan struct {
	Lcores      []int
	Hugepages   bool
	MemoryMB    int
	Ports       []Port
	VIPs        []netip.Addr
	RealServers int // different addresses
}

// Host is the machine that the doctor runs on, in the same namespaces and with the same privileges as turnout.
type Host struct {
	Plan
	Running     bool                                       // a director runs here, so that what it has taken is not free
	Root        string                                     // /proc, /sys and /dev are beneath it; empty but for tests
	UserDrivers []string                                   // kernel drivers that leave a PCI device to DPDK
	CheckFlux   func(dip netip.Prefix, iface string) error // punt.CheckFlux
	CheckVIPs   func(vips []netip.Addr) error              // punt.CheckVIPs
}

// hostChecks is the list of what is looked at on the host.
func hostChecks() []check[*Host] {
	return slices.Concat(networkChecks, memoryChecks, nicChecks, cpuChecks, processChecks)
}

// Examine looks at the host.
func (h *Host) Examine() []Finding { return examine(hostChecks(), h) }

// text is a file's content without space around it, empty if it cannot be read.
func (h *Host) text(path string) string {
	text, _ := os.ReadFile(h.Root + path)
	return strings.TrimSpace(string(text))
}

// number is a file's content, 0 if it is none.
func (h *Host) number(path string) int {
	n, _ := strconv.Atoi(h.text(path))
	return n
}

func (h *Host) has(path string) bool {
	_, err := os.Stat(h.Root + path)
	return err == nil
}

// target is the last part of what a symbolic link points to, empty if there is no link.
func (h *Host) target(path string) string {
	to, err := os.Readlink(h.Root + path)
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// names lists a folder.
func (h *Host) names(path string) (names []string) {
	entries, _ := os.ReadDir(h.Root + path)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// physical are the ports that are PCI devices.
func (h *Host) physical() (ports []Port) {
	for _, p := range h.Ports {
		if !p.Virtual {
			ports = append(ports, p)
		}
	}
	return ports
}

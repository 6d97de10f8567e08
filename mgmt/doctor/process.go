package doctor

import (
	"slices"
	"strconv"
	"strings"
)

var processChecks = []check[*Host]{
	{
		"capabilities", "this process may do what turnout does",
		"turnout makes an interface and, for some vdevs, opens packet sockets; give the doctor the privileges that turnout has", capabilities,
	},
	{
		"tun", "TAP interfaces can be made",
		"the kernel's end of the port, by which the director has its DIP, is a TAP interface", tun,
	},
}

// capability is a privilege of a process: its bit (linux/capability.h) and its name.
type capability struct {
	bit  int
	name string
}

var (
	capNetAdmin = capability{12, "CAP_NET_ADMIN"}
	capNetRaw   = capability{13, "CAP_NET_RAW"}
	capIPCLock  = capability{14, "CAP_IPC_LOCK"}
)

func (h *Host) capable(c capability) bool {
	for line := range strings.Lines(h.text("/proc/self/status")) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			set, _ := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return set>>c.bit&1 == 1
		}
	}
	return false
}

func capabilities(h *Host) (all []Finding) {
	for _, c := range h.needed() {
		if !h.capable(c) {
			all = append(all, found(Error, "sudo turnout doctor", "this process has not %s", c.name))
		}
	}
	return all
}

// needed are the capabilities without which turnout does not start. CAP_IPC_LOCK is that of another check.
func (h *Host) needed() []capability {
	packets := func(p Port) bool { return strings.HasPrefix(p.Device, "net_af_") }
	if slices.ContainsFunc(h.Ports, packets) {
		return []capability{capNetAdmin, capNetRaw}
	}
	return []capability{capNetAdmin}
}

func tun(h *Host) []Finding {
	if h.has("/dev/net/tun") {
		return nil
	}
	return []Finding{found(Error, "modprobe tun", "there is no /dev/net/tun (in a container: --device /dev/net/tun)")}
}

package doctor

import (
	"errors"

	"turnout/mgmt/neigh"
	"turnout/mgmt/punt"
)

var networkChecks = []check[*Host]{
	{
		"ip_forward", "the kernel does not forward packets between interfaces",
		"turnout does without; a director whose kernel forwards joins the segments that it stands in, past every firewall", ipForward,
	},
	{
		"arp_flux", "no other interface speaks for the DIP",
		"real servers and clients would learn another interface's MAC for the DIP: ping works, and the port is bypassed", arpFlux,
	},
	{
		"vip_on_host", "no interface of this host holds a VIP",
		"the kernel would answer for the VIP beside turnout, and take its packets for its own", vipOnHost,
	},
	{
		"kernel_interface", "the name of kernel_interface is free, or turnout's",
		"turnout makes this interface itself and does not start where another one has its name", kernelInterface,
	},
	{
		"neighbour_table", "the kernel's neighbour table has room for the real servers",
		"the kernel forgets or refuses neighbours that are too many, and a real server whose MAC is unknown gets no packets", neighbourTable,
	},
}

func ipForward(h *Host) []Finding {
	if h.number("/proc/sys/net/ipv4/ip_forward") == 0 {
		return nil
	}
	return []Finding{found(Note, "sysctl -w net.ipv4.ip_forward=0", "net.ipv4.ip_forward is on")}
}

func arpFlux(h *Host) (all []Finding) {
	for _, p := range h.Ports {
		if p.DIP.IsValid() {
			all = append(all, faults(h.CheckFlux(p.DIP, p.KernelInterface))...)
		}
	}
	return all
}

func vipOnHost(h *Host) []Finding { return faults(h.CheckVIPs(h.VIPs)) }

// faults are the findings in an error of package punt.
func faults(err error) (all []Finding) {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			all = append(all, faults(e)...)
		}
		return all
	}
	if fault := new(punt.Fault); errors.As(err, &fault) {
		return []Finding{found(Error, fault.Mend, "%s", fault.What)}
	}
	return []Finding{found(Error, "sudo turnout doctor", "%v", err)}
}

func kernelInterface(h *Host) (all []Finding) {
	for _, p := range h.Ports {
		dir := "/sys/class/net/" + p.KernelInterface
		switch {
		case h.Running || p.KernelInterface == "" || !h.has(dir):
		case h.has(dir + "/tun_flags"):
			all = append(all, found(Error, "ip link delete "+p.KernelInterface, "there is a TAP %s, and no director that answers", p.KernelInterface))
		default:
			all = append(all, found(Error, "choose another ports[].kernel_interface in turnout.yaml", "%s is an interface of this host", p.KernelInterface))
		}
	}
	return all
}

func neighbourTable(h *Host) []Finding {
	settings := neigh.LimitSettings(h.Root, h.RealServers)
	if settings == "" {
		return nil
	}
	return []Finding{found(Warning, "sysctl -w"+settings, "the limits are small for %d real servers", h.RealServers)}
}

package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var nicChecks = []check[*Host]{
	{
		"nic_driver", "every NIC of turnout.yaml is there, with a driver that DPDK can work with",
		"DPDK passes over a device that is missing or in the hands of its kernel driver", nicDriver,
	},
	{
		"iommu", "every NIC of turnout.yaml is behind an IOMMU, in a group that DPDK can have",
		"vfio hands a device over only with its whole IOMMU group, and without an IOMMU the NIC may write anywhere in memory", iommu,
	},
	{
		"vfio", "the driver vfio-pci is there for the NICs that need it",
		"it is the driver by which DPDK takes a NIC", vfio,
	},
	{
		"queues", "vdevs that are told their number of queues have one for each lcore",
		"each lcore polls a receive queue of its own, and turnout does not start where there are too few", queues,
	},
	{
		"numa", "no lcore is on another NUMA node than a NIC",
		"an lcore on another node than the NIC waits for the other socket with every frame", numa,
	},
}

const pciDevices = "/sys/bus/pci/devices/"

// kernelDriven are drivers that DPDK works beside: their devices are not handed over to vfio.
var kernelDriven = []string{"mlx4_core", "mlx5_core"}

func (h *Host) driver(p Port) string { return h.target(pciDevices + p.Device + "/driver") }

func nicDriver(h *Host) (all []Finding) {
	for _, p := range h.physical() {
		driver := h.driver(p)
		switch {
		case !h.has(pciDevices + p.Device):
			all = append(all, found(Error, "scripts/bind-nic.sh status", "there is no PCI device %s", p.Device))
		case driver == "":
			all = append(all, found(Error, "scripts/bind-nic.sh bind "+p.Device, "%s has no driver", p.Device))
		case !slices.Contains(h.UserDrivers, driver):
			all = append(all, found(Error, "scripts/bind-nic.sh bind "+p.Device, "%s is bound to the driver %s", p.Device, driver))
		}
	}
	return all
}

// byVFIO are the ports that DPDK takes by vfio-pci, or will.
func (h *Host) byVFIO() []Port {
	return slices.DeleteFunc(h.physical(), func(p Port) bool {
		return !h.has(pciDevices+p.Device) || slices.Contains(kernelDriven, h.driver(p))
	})
}

func iommu(h *Host) (all []Finding) {
	for _, p := range h.byVFIO() {
		switch {
		case h.has(pciDevices + p.Device + "/iommu_group"):
			all = append(all, h.strangersInGroup(p)...)
		case h.text("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") == "Y":
			all = append(all, found(Warning, kernelArgument(h.iommuArgument()), "%s is used without an IOMMU (vfio's no-IOMMU mode)", p.Device))
		default:
			all = append(all, found(Error, kernelArgument(h.iommuArgument()), "no IOMMU is at work for %s (VT-d or AMD-Vi must be on in the firmware as well)", p.Device))
		}
	}
	return all
}

// strangersInGroup are devices of the NIC's IOMMU group that another driver has. Bridges do not count.
func (h *Host) strangersInGroup(p Port) (all []Finding) {
	group := pciDevices + p.Device + "/iommu_group/devices"
	for _, peer := range h.names(group) {
		driver := h.target(group + "/" + peer + "/driver")
		if peer != p.Device && driver != "" && driver != "pcieport" && !slices.Contains(h.UserDrivers, driver) {
			all = append(all, found(Error, "scripts/bind-nic.sh bind "+peer, "%s (driver %s) is in the IOMMU group of %s: bind it too, or put the NIC in another slot", peer, driver, p.Device))
		}
	}
	return all
}

func (h *Host) iommuArgument() string {
	if strings.Contains(h.text("/proc/cpuinfo"), "AuthenticAMD") {
		return "iommu=pt"
	}
	return "intel_iommu=on iommu=pt"
}

// kernelArgument is the command that adds to the kernel's command line, for the next boot.
func kernelArgument(text string) string {
	return `sed -i 's/^GRUB_CMDLINE_LINUX="/&` + text + ` /' /etc/default/grub && update-grub && reboot`
}

func vfio(h *Host) []Finding {
	if len(h.byVFIO()) == 0 || h.has("/sys/bus/pci/drivers/vfio-pci") {
		return nil
	}
	return []Finding{found(Error, "modprobe vfio-pci", "the module vfio-pci is not loaded")}
}

// queueArguments are the arguments by which vdevs are told how many queues they have: one unless given. Of other devices
// nothing is known before DPDK has them.
var queueArguments = map[string]string{"net_af_packet": "qpairs", "net_af_xdp": "queue_count"}

func queues(h *Host) (all []Finding) {
	for _, p := range h.Ports {
		name, arguments, _ := strings.Cut(p.Device, ",")
		argument := queueArguments[strings.TrimRight(name, "0123456789")]
		if n := valueOf(arguments, argument); argument != "" && n < len(h.Lcores) {
			mend := fmt.Sprintf("write %s=%d into ports[].device in turnout.yaml", argument, len(h.Lcores))
			all = append(all, found(Error, mend, "%s has %d queues for %d lcores", name, n, len(h.Lcores)))
		}
	}
	return all
}

// valueOf is a number in a vdev's arguments, 1 if it is not given.
func valueOf(arguments, name string) int {
	for word := range strings.SplitSeq(arguments, ",") {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			n, _ := strconv.Atoi(value)
			return n
		}
	}
	return 1
}

// nodeOf is the NUMA node of a port, -1 if it has none.
func (h *Host) nodeOf(p Port) int {
	node, err := strconv.Atoi(h.text(pciDevices + p.Device + "/numa_node"))
	if err != nil {
		return -1
	}
	return node
}

func numa(h *Host) (all []Finding) {
	for _, p := range h.physical() {
		node := h.nodeOf(p)
		if node < 0 {
			continue
		}
		list := h.text(fmt.Sprintf("/sys/devices/system/node/node%d/cpulist", node))
		if away := without(h.Lcores, parseCPUs(list)); len(away) > 0 {
			all = append(all, found(Warning, "choose dpdk.lcores among "+list+" in turnout.yaml", "%s is on NUMA node %d, the lcores %s are not", p.Device, node, formatCPUs(away)))
		}
	}
	return all
}

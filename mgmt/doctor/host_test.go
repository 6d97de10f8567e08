package doctor_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"turnout/mgmt/doctor"
	"turnout/mgmt/punt"
)

const nic = "/sys/bus/pci/devices/0000:3b:00.0"

// machine is a host on which all is well: file contents, and "-> target" for symbolic links.
func machine() map[string]string {
	return map[string]string{
		"/dev/net/tun":                         "",
		"/proc/cmdline":                        "quiet isolcpus=managed_irq,domain,2-3 nohz_full=2-3 rcu_nocbs=2,3",
		"/proc/cpuinfo":                        "vendor_id : GenuineIntel\nflags : fpu constant_tsc nonstop_tsc",
		"/proc/self/limits":                    "Limit   Soft Limit   Hard Limit   Units\nMax locked memory         8388608              8388608              bytes",
		"/proc/self/status":                    "Name:\tturnout\nCapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff",
		"/proc/swaps":                          "Filename Type Size Used Priority",
		"/proc/sys/net/ipv4/ip_forward":        "0",
		limits + "1":                           "128",
		limits + "2":                           "512",
		limits + "3":                           "1024",
		nic + "/driver":                        "-> /sys/bus/pci/drivers/vfio-pci",
		nic + "/iommu_group":                   "-> " + group,
		nic + "/numa_node":                     "1",
		group + "/devices/0000:3b:00.0/driver": "-> /sys/bus/pci/drivers/vfio-pci",
		group + "/devices/0000:00:01.0/driver": "-> /sys/bus/pci/drivers/pcieport",
		"/sys/bus/pci/drivers/vfio-pci/bind":   "",
		"/sys/devices/system/clocksource/clocksource0/current_clocksource":            "tsc",
		"/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor":                       "performance",
		"/sys/devices/system/node/node1/cpulist":                                      "2-3",
		"/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/free_hugepages": "0",
		pages + "/free_hugepages":                                                     "256",
		pages + "/nr_hugepages":                                                       "300",
		"/sys/kernel/mm/transparent_hugepage/enabled":                                 "always [madvise] never",
	}
}

const (
	limits = "/proc/sys/net/ipv4/neigh/default/gc_thresh"
	group  = "/sys/kernel/iommu_groups/7"
	pages  = "/sys/devices/system/node/node1/hugepages/hugepages-2048kB"
)

func plan() doctor.Plan {
	return doctor.Plan{
		Lcores: []int{2, 3}, Hugepages: true, MemoryMB: 512, RealServers: 3, VIPs: []netip.Addr{netip.MustParseAddr("192.168.57.100")},
		Ports: []doctor.Port{{Device: "0000:3b:00.0", DIP: netip.MustParsePrefix("192.168.57.120/24"), KernelInterface: "dip0"}},
	}
}

// lay writes files beneath a folder.
func lay(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, content := range files {
		path := root + name
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		target, link := strings.CutPrefix(content, "-> ")
		err := os.WriteFile(path, []byte(content+"\n"), 0o600)
		if link {
			err = errors.Join(os.Remove(path), os.Symlink(root+target, path))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func newHost(t *testing.T, files map[string]string) *doctor.Host {
	return &doctor.Host{
		Plan: plan(), Root: lay(t, files), UserDrivers: []string{"vfio-pci", "mlx5_core"},
		CheckFlux: func(netip.Prefix, string) error { return nil }, CheckVIPs: func([]netip.Addr) error { return nil },
	}
}

// problems are the findings that are not ok, as "severity check: found => mend".
func problems(t *testing.T, findings []doctor.Finding) (all []string) {
	t.Helper()
	for _, f := range findings {
		switch {
		case f.Severity == doctor.OK && (f.Found == "" || f.Why+f.Mend != ""):
			t.Errorf("%+v: want what is well, and no more", f)
		case f.Severity == doctor.OK:
		case f.Why == "" || f.Mend == "":
			t.Errorf("%+v does not say why or what to do", f)
		default:
			all = append(all, string(f.Severity)+" "+f.Check+": "+f.Found+" => "+f.Mend)
		}
	}
	return all
}

func grub(arguments string) string {
	return `sed -i 's/^GRUB_CMDLINE_LINUX="/&` + arguments + ` /' /etc/default/grub && update-grub && reboot`
}

// Every check of the host must fail once in here.
func TestHost(t *testing.T) {
	type files = map[string]string
	const gone = "gone" // in place of a file's content
	seen := map[string]bool{}
	for _, tt := range []struct {
		name   string
		files  files
		change func(*doctor.Host)
		want   []string
	}{
		{"all is well", nil, nil, nil},
		{"ip_forward", files{"/proc/sys/net/ipv4/ip_forward": "1"}, nil, []string{
			"note ip_forward: net.ipv4.ip_forward is on => sysctl -w net.ipv4.ip_forward=0",
		}},
		{"the kernel speaks for the DIP and holds a VIP", nil, func(h *doctor.Host) {
			h.CheckFlux = func(dip netip.Prefix, iface string) error {
				return errors.Join(&punt.Fault{What: "eth9 has " + dip.String(), Mend: "one"}, &punt.Fault{What: "eth8 answers, not " + iface, Mend: "two"})
			}
			h.CheckVIPs = func(vips []netip.Addr) error { return &punt.Fault{What: vips[0].String() + " is on lo", Mend: "three"} }
		}, []string{
			"error arp_flux: eth9 has 192.168.57.120/24 => one", "error arp_flux: eth8 answers, not dip0 => two",
			"error vip_on_host: 192.168.57.100 is on lo => three",
		}},
		{"interfaces cannot be listed", nil, func(h *doctor.Host) {
			h.CheckVIPs = func([]netip.Addr) error { return errors.New("operation not permitted") }
		}, []string{"error vip_on_host: operation not permitted => sudo turnout doctor"}},
		{"a TAP that was left", files{"/sys/class/net/dip0/tun_flags": "0x1002"}, nil, []string{
			"error kernel_interface: there is a TAP dip0, and no director that answers => ip link delete dip0",
		}},
		{"an interface of the host", files{"/sys/class/net/dip0/mtu": "1500"}, nil, []string{
			"error kernel_interface: dip0 is an interface of this host => choose another ports[].kernel_interface in turnout.yaml",
		}},
		{"a director runs", files{"/sys/class/net/dip0/tun_flags": "0x1002", pages + "/free_hugepages": "0"}, func(h *doctor.Host) { h.Running = true }, nil},
		{"many real servers", nil, func(h *doctor.Host) { h.RealServers = 257 }, []string{
			"warning neighbour_table: the limits are small for 257 real servers => sysctl -w net.ipv4.neigh.default.gc_thresh1=257" +
				" net.ipv4.neigh.default.gc_thresh2=514 net.ipv4.neigh.default.gc_thresh3=1028",
		}},
		{"too few hugepages on the NIC's node", files{pages + "/free_hugepages": "200"}, nil, []string{
			"error hugepages: 400 MB of hugepages are free in /sys/devices/system/node/node1/hugepages, dpdk.memory_mb is 512" +
				" => echo 356 >" + pages + "/nr_hugepages",
		}},
		{"large hugepages count", files{
			pages + "/free_hugepages": "0",
			"/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/free_hugepages": "1",
		}, nil, nil},
		{"no hugepages of 2 MB", files{pages + "/free_hugepages": gone, pages + "/nr_hugepages": gone, nic + "/numa_node": "-1"}, nil, []string{
			"error hugepages: this kernel has no hugepages of 2 MB in /sys/kernel/mm/hugepages => set dpdk.hugepages: false in turnout.yaml",
		}},
		{"a trial", nil, func(h *doctor.Host) { h.Hugepages = false }, []string{
			"note hugepages: dpdk.hugepages is false: fit for a trial, not for traffic => set dpdk.hugepages: true in turnout.yaml",
		}},
		{"no transparent hugepages", files{"/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]"}, nil, []string{
			"note thp: transparent hugepages are off => echo madvise >/sys/kernel/mm/transparent_hugepage/enabled",
		}},
		{"no privileges", files{"/proc/self/status": "CapEff:\t0000000000000000"}, func(h *doctor.Host) { h.Ports[0].Device = "0000:3b:00.0" }, []string{
			"error memory_lock: the process may lock 8388608 bytes, dpdk.memory_mb is 512 => ulimit -l unlimited",
			"error capabilities: this process has not CAP_NET_ADMIN => sudo turnout doctor",
		}},
		{"no privileges, but a limit", files{
			"/proc/self/status": "CapEff:\t0000000000003000", // NET_ADMIN and NET_RAW
			"/proc/self/limits": "Max locked memory         536870912              536870912              bytes",
		}, nil, nil},
		{"no privileges, packet sockets", files{"/proc/self/status": "CapEff:\t0000000000001000"}, func(h *doctor.Host) {
			h.Ports[0] = doctor.Port{Device: "net_af_packet0,iface=eth1,qpairs=2", Virtual: true}
			h.MemoryMB = 0
		}, []string{"error capabilities: this process has not CAP_NET_RAW => sudo turnout doctor"}},
		{"swap", files{"/proc/swaps": "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2"}, nil, []string{
			"warning swap: memory may be swapped out to a disk => swapoff -a",
		}},
		{"the kernel's driver", files{
			nic + "/driver": "-> /sys/bus/pci/drivers/ixgbe", group + "/devices/0000:3b:00.0/driver": "-> /sys/bus/pci/drivers/ixgbe",
		}, nil, []string{
			"error nic_driver: 0000:3b:00.0 is bound to the driver ixgbe => scripts/bind-nic.sh bind 0000:3b:00.0",
		}},
		{"no driver, nor vfio", files{nic + "/driver": gone, "/sys/bus/pci/drivers/vfio-pci/bind": gone}, nil, []string{
			"error nic_driver: 0000:3b:00.0 has no driver => scripts/bind-nic.sh bind 0000:3b:00.0",
			"error vfio: the module vfio-pci is not loaded => modprobe vfio-pci",
		}},
		{"no such device", nil, func(h *doctor.Host) { h.Ports[0].Device = "0000:3b:00.1"; h.MemoryMB = 0 }, []string{
			"error nic_driver: there is no PCI device 0000:3b:00.1 => scripts/bind-nic.sh status",
		}},
		{"no IOMMU", files{nic + "/iommu_group": gone}, nil, []string{
			"error iommu: no IOMMU is at work for 0000:3b:00.0 (VT-d or AMD-Vi must be on in the firmware as well) => " + grub("intel_iommu=on iommu=pt"),
		}},
		{"vfio without IOMMU on AMD", files{
			nic + "/iommu_group": gone, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode": "Y",
			"/proc/cpuinfo": "vendor_id : AuthenticAMD\nflags : constant_tsc nonstop_tsc",
		}, nil, []string{
			"warning iommu: 0000:3b:00.0 is used without an IOMMU (vfio's no-IOMMU mode) => " + grub("iommu=pt"),
		}},
		{"a stranger in the group", files{group + "/devices/0000:3b:00.2/driver": "-> /sys/bus/pci/drivers/ahci"}, nil, []string{
			"error iommu: 0000:3b:00.2 (driver ahci) is in the IOMMU group of 0000:3b:00.0: bind it too, or put the NIC in another slot => scripts/bind-nic.sh bind 0000:3b:00.2",
		}},
		{"a NIC that keeps its driver", files{nic + "/driver": "-> /sys/bus/pci/drivers/mlx5_core", nic + "/iommu_group": gone}, nil, nil},
		{"one queue, two lcores", nil, func(h *doctor.Host) {
			h.Ports[0] = doctor.Port{Device: "net_af_packet0,iface=eth1", Virtual: true}
			h.MemoryMB = 0
		}, []string{
			"error queues: net_af_packet0 has 1 queues for 2 lcores => write qpairs=2 into ports[].device in turnout.yaml",
		}},
		{"two queues, two lcores", nil, func(h *doctor.Host) {
			h.Ports[0] = doctor.Port{Device: "net_af_xdp12,iface=eth1,queue_count=2", Virtual: true}
			h.MemoryMB = 0
		}, nil},
		{"an lcore on another node", files{"/sys/devices/system/node/node1/cpulist": "3-5"}, nil, []string{
			"warning numa: 0000:3b:00.0 is on NUMA node 1, the lcores 2 are not => choose dpdk.lcores among 3-5 in turnout.yaml",
		}},
		{"CPUs that are not isolated", files{"/proc/cmdline": "quiet isolcpus=2-3 nohz_full=2"}, nil, []string{
			"warning isolated_cpus: the kernel's command line has not all lcores (2-3) in nohz_full, rcu_nocbs => " + grub("nohz_full=2-3 rcu_nocbs=2-3"),
		}},
		{"CPUs of a trial that are not isolated", files{"/proc/cmdline": "quiet"}, func(h *doctor.Host) {
			h.Ports[0] = doctor.Port{Device: "net_tap0,iface=dp0", Virtual: true}
			h.MemoryMB = 0
		}, []string{
			"note isolated_cpus: the kernel's command line has not all lcores (2-3) in isolcpus, nohz_full, rcu_nocbs => " + grub("isolcpus=2-3 nohz_full=2-3 rcu_nocbs=2-3"),
		}},
		{"a governor that saves power", files{"/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor": "powersave"}, nil, []string{
			"warning governor: the governor of the CPUs 2 is not performance => echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
		}},
		{"no steady TSC", files{
			"/sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet", "/proc/cpuinfo": "flags : constant_tsc",
		}, nil, []string{
			"warning tsc: the kernel tells the time by hpet: it found the TSC unfit (dmesg says why) => echo tsc >/sys/devices/system/clocksource/clocksource0/current_clocksource",
			"warning tsc: the CPU has not nonstop_tsc => have the virtual machine's host pass the flag on (libvirt: cpu mode host-passthrough, feature invtsc)",
		}},
		{"no TAPs", files{"/dev/net/tun": gone}, nil, []string{
			"error tun: there is no /dev/net/tun (in a container: --device /dev/net/tun) => modprobe tun",
		}},
	} {
		all := machine()
		for name, content := range tt.files {
			if all[name] = content; content == gone {
				delete(all, name)
			}
		}
		h := newHost(t, all)
		if tt.change != nil {
			tt.change(h)
		}
		findings := h.Examine()
		if diff := cmp.Diff(tt.want, problems(t, findings)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		note(seen, findings)
	}
	host, _, _ := doctor.Tables()
	wantAll(t, host, seen)
}

// note remembers the checks that found something.
func note(seen map[string]bool, findings []doctor.Finding) {
	for _, f := range findings {
		seen[f.Check] = seen[f.Check] || f.Severity != doctor.OK
	}
}

func wantAll(t *testing.T, checks []doctor.Described, seen map[string]bool) {
	t.Helper()
	for _, c := range checks {
		if name, _, _ := c.Cells(); !seen[name] {
			t.Errorf("no case in which %s finds something", name)
		}
	}
}

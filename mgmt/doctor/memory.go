package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

var memoryChecks = []check[*Host]{
	{
		"hugepages", "there are enough hugepages for dpdk.memory_mb",
		"without them DPDK does not start; on another NUMA node than the NIC every frame crosses between sockets. No hugetlbfs needs to be mounted", hugepages,
	},
	{
		"thp", "the kernel gives transparent hugepages to those who ask",
		"a flow table that found neither reserved nor transparent hugepages takes about twice as long for a look-up", transparentHugepages,
	},
	{
		"memory_lock", "the process may lock as much memory as DPDK needs",
		"vfio locks the memory that the NIC reaches, and DPDK does not start where it may not", memoryLock,
	},
	{
		"swap", "there is no swap",
		"a thread that waits for its memory to be read from a disk answers ARP, health checks and VRRP too late", swap,
	},
}

func hugepages(h *Host) (all []Finding) {
	if h.Running {
		return nil
	}
	if !h.Hugepages {
		return []Finding{found(Note, "set dpdk.hugepages: true in turnout.yaml", "dpdk.hugepages is false: fit for a trial, not for traffic")}
	}
	for _, dir := range h.hugepageDirs() {
		if free := h.freeHugepages(dir); free < h.MemoryMB {
			all = append(all, h.tooFewHugepages(dir, free))
		}
	}
	return all
}

// hugepageDirs are the folders of hugepage sizes: of the NUMA nodes that the NICs are on, else of the host.
func (h *Host) hugepageDirs() (dirs []string) {
	for _, p := range h.physical() {
		if node := h.nodeOf(p); node >= 0 {
			dirs = append(dirs, fmt.Sprintf("/sys/devices/system/node/node%d/hugepages", node))
		}
	}
	if len(dirs) == 0 {
		dirs = []string{"/sys/kernel/mm/hugepages"}
	}
	return dirs
}

// freeHugepages is how many MB of them are free, in all sizes.
func (h *Host) freeHugepages(dir string) (freeMB int) {
	for _, size := range h.names(dir) {
		kB, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(size, "hugepages-"), "kB"))
		freeMB += h.number(dir+"/"+size+"/free_hugepages") * kB / 1024
	}
	return freeMB
}

func (h *Host) tooFewHugepages(dir string, freeMB int) Finding {
	const pageMB = 2
	small := dir + "/hugepages-2048kB"
	if !h.has(small) {
		return found(Error, "set dpdk.hugepages: false in turnout.yaml", "this kernel has no hugepages of 2 MB in %s", dir)
	}
	pages := h.number(small+"/nr_hugepages") + (h.MemoryMB-freeMB+pageMB-1)/pageMB
	return found(Error, fmt.Sprintf("echo %d >%s/nr_hugepages", pages, small), "%d MB of hugepages are free in %s, dpdk.memory_mb is %d", freeMB, dir, h.MemoryMB)
}

func transparentHugepages(h *Host) []Finding {
	const path = "/sys/kernel/mm/transparent_hugepage/enabled"
	if !strings.Contains(h.text(path), "[never]") {
		return nil
	}
	return []Finding{found(Note, "echo madvise >"+path, "transparent hugepages are off")}
}

func memoryLock(h *Host) []Finding {
	limit := h.limit("Max locked memory")
	if len(h.physical()) == 0 || h.capable(capIPCLock) || limit == "unlimited" {
		return nil
	}
	if bytes, _ := strconv.Atoi(limit); bytes>>20 >= h.MemoryMB {
		return nil
	}
	return []Finding{found(Error, "ulimit -l unlimited", "the process may lock %s bytes, dpdk.memory_mb is %d", limit, h.MemoryMB)}
}

// limit is a soft limit of this process, by its name in /proc.
func (h *Host) limit(name string) string {
	for line := range strings.Lines(h.text("/proc/self/limits")) {
		if values, ok := strings.CutPrefix(line, name); ok && len(strings.Fields(values)) > 0 {
			return strings.Fields(values)[0]
		}
	}
	return ""
}

func swap(h *Host) []Finding {
	if strings.Count(h.text("/proc/swaps"), "\n") == 0 { // the heading alone
		return nil
	}
	return []Finding{found(Warning, "swapoff -a", "memory may be swapped out to a disk")}
}

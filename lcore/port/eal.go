package port

/*
#cgo pkg-config: libdpdk
#include <rte_cycles.h>
*/
import "C"

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/yerden/go-dpdk/eal"
)

// EALConfig is how DPDK's environment abstraction layer is started.
type EALConfig struct {
	MainLcore int
	Lcores    []int
	Hugepages bool
	MemoryMB  int
	Devices   []string // PCI addresses and vdev strings
	Args      []string // handed to EAL after all else
}

// StartEAL starts EAL; every lcore then waits for work. DPDK starts once in a process.
func StartEAL(c EALConfig) error {
	if err := checkLayout(); err != nil {
		return err
	}
	if c.Hugepages {
		if err := checkHugepages("/sys/kernel/mm/hugepages", c.MemoryMB); err != nil {
			return err
		}
	}
	if err := checkDevices(c.Devices); err != nil {
		return err
	}
	if _, err := eal.Init(c.args()); err != nil {
		return fmt.Errorf("EAL's log above says why; is it about a device, then correct ports[].device or install the package with its driver (librte-net-...): %w", err)
	}
	return nil
}

// StopEAL makes the lcores leave and releases all that EAL holds.
func StopEAL() error {
	if err := eal.Cleanup(); err != nil {
		return fmt.Errorf("clean up DPDK: %w", err)
	}
	return nil
}

// args makes EAL's command line. Nothing is left in the file system, not even after kill -9: --in-memory and --no-shconf
// keep hugepage files and the runtime folder away.
func (c *EALConfig) args() []string {
	args := []string{
		"turnout", "--main-lcore", strconv.Itoa(c.MainLcore), "-l", lcoreList(c.MainLcore, c.Lcores),
		"-m", strconv.Itoa(c.MemoryMB), "--no-telemetry", "--log-level", "warning",
	}
	if c.Hugepages {
		args = append(args, "--in-memory")
	} else {
		args = append(args, "--no-huge", "--no-shconf")
	}
	return append(append(args, deviceArgs(c.Devices)...), c.Args...)
}

func lcoreList(main int, workers []int) string {
	list := []string{strconv.Itoa(main)}
	for _, l := range workers {
		list = append(list, strconv.Itoa(l))
	}
	return strings.Join(list, ",")
}

// deviceArgs allows the PCI devices named and no other, and creates the virtual ones.
func deviceArgs(devices []string) (args []string) {
	pci := false
	for _, d := range devices {
		if Virtual(d) {
			args = append(args, "--vdev", d)
		} else {
			args = append(args, "-a", d)
			pci = true
		}
	}
	if !pci {
		args = append(args, "--no-pci")
	}
	return args
}

// Virtual says whether a device is a vdev string and not a PCI address.
func Virtual(device string) bool { return strings.HasPrefix(device, "net_") }

// deviceName is the name under which DPDK knows a device.
func deviceName(device string) string {
	name, _, _ := strings.Cut(device, ",")
	return name
}

// TSCHz is the number of TSC cycles in a second.
func TSCHz() uint64 { return uint64(C.rte_get_tsc_hz()) }

// TSC is the time stamp counter now.
func TSC() uint64 { return uint64(C.rte_rdtsc()) }

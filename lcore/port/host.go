package port

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// checkHugepages says what to do when there are not enough free hugepages. root is sysfs's folder of hugepage sizes.
func checkHugepages(root string, wantMB int) error {
	freeMB := 0
	sizes, _ := filepath.Glob(filepath.Join(root, "hugepages-*kB"))
	for _, size := range sizes {
		kB, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(size), "hugepages-"), "kB"))
		freeMB += readInt(filepath.Join(size, "free_hugepages")) * kB / 1024
	}
	if freeMB >= wantMB {
		return nil
	}
	return fmt.Errorf("dpdk.memory_mb is %d but %d MB of hugepages are free: reserve %d MB more (scripts/bind-nic.sh, or vm.nr_hugepages), lower dpdk.memory_mb, or set dpdk.hugepages: false for a trial",
		wantMB, freeMB, wantMB-freeMB)
}

func readInt(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// UserDrivers are the kernel drivers that leave a PCI device to DPDK.
var UserDrivers = []string{"vfio-pci", "igb_uio", "uio_pci_generic", "mlx5_core", "mlx4_core"}

// checkDevices refuses PCI devices that are absent or still bound to their kernel driver, which EAL would pass over in
// silence, and TAPs that cannot be made, of which it would only give an error number.
func checkDevices(devices []string) error {
	for _, d := range devices {
		if err := checkDevice(d); err != nil {
			return err
		}
	}
	return nil
}

func checkDevice(device string) error {
	switch {
	case strings.HasPrefix(device, "net_tap"):
		return checkTUN("/dev/net/tun", device)
	case Virtual(device):
		return nil
	}
	return checkPCI("/sys/bus/pci/devices", device)
}

func checkTUN(path, device string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("device %s needs %s: load the module (modprobe tun), or give the device to the container (--device %s)", deviceName(device), path, path)
	}
	return nil
}

func checkPCI(root, address string) error {
	dir := filepath.Join(root, address)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("device %s is not on this machine: list its NICs with scripts/bind-nic.sh status", address)
	}
	driver := "none"
	if target, err := os.Readlink(filepath.Join(dir, "driver")); err == nil {
		driver = filepath.Base(target)
	}
	if !slices.Contains(UserDrivers, driver) {
		return fmt.Errorf("device %s is bound to the driver %s, DPDK needs vfio-pci: run scripts/bind-nic.sh bind %s", address, driver, address)
	}
	return nil
}

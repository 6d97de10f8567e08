// Package ethdev drives DPDK's Ethernet ports: set-up, state, bursts.
//
// Errors are syscall.Errno values as DPDK returns them.
package ethdev

/*
#cgo pkg-config: libdpdk
#include <stdlib.h>
#include <rte_ethdev.h>
*/
import "C"

import (
	"net"
	"unsafe"

	"github.com/yerden/go-dpdk/internal/errno"
)

// Port is a port's number.
type Port uint16

// ValidPorts returns the ports that nobody owns, ascending.
func ValidPorts() (ports []Port) {
	for p := nextPort(0); p < C.RTE_MAX_ETHPORTS; p = nextPort(p + 1) {
		ports = append(ports, Port(p))
	}
	return ports
}

func nextPort(from C.uint64_t) C.uint64_t {
	return C.rte_eth_find_next_owned_by(C.uint16_t(from), C.RTE_ETH_DEV_NO_OWNER)
}

// CountAvail returns the number of ports that nobody owns.
func CountAvail() int { return int(C.rte_eth_dev_count_avail()) }

// GetPortByName finds a port by its PCI address or vdev name; without one the
// error is syscall.ENODEV.
func GetPortByName(name string) (Port, error) {
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	var id C.uint16_t
	err := errno.From(int(C.rte_eth_dev_get_port_by_name(cName, &id)))
	return Port(id), err
}

// IsValid reports whether the port exists.
func (pid Port) IsValid() bool { return C.rte_eth_dev_is_valid_port(pid.c()) != 0 }

// Name returns the port's PCI address or vdev name.
func (pid Port) Name() (string, error) {
	var name [C.RTE_ETH_NAME_MAX_LEN]C.char
	if err := errno.From(int(C.rte_eth_dev_get_name_by_port(pid.c(), &name[0]))); err != nil {
		return "", err
	}
	return C.GoString(&name[0]), nil
}

// SocketID returns the port's NUMA node, or SOCKET_ID_ANY (-1).
func (pid Port) SocketID() int { return int(C.rte_eth_dev_socket_id(pid.c())) }

// Start starts a configured port and its queues.
func (pid Port) Start() error { return errno.From(int(C.rte_eth_dev_start(pid.c()))) }

// Stop stops the port; it can be configured and started again.
func (pid Port) Stop() { C.rte_eth_dev_stop(pid.c()) }

// Close gives a stopped port back; it cannot be used again.
func (pid Port) Close() { C.rte_eth_dev_close(pid.c()) }

// PromiscEnable makes the port take frames for any MAC address.
func (pid Port) PromiscEnable() error {
	return errno.From(int(C.rte_eth_promiscuous_enable(pid.c())))
}

// PromiscDisable makes the port take frames for its own MAC address only.
func (pid Port) PromiscDisable() error {
	return errno.From(int(C.rte_eth_promiscuous_disable(pid.c())))
}

// GetMTU returns the MTU in bytes.
func (pid Port) GetMTU() (uint16, error) {
	var mtu C.uint16_t
	err := errno.From(int(C.rte_eth_dev_get_mtu(pid.c(), &mtu)))
	return uint16(mtu), err
}

// SetMTU sets the MTU in bytes.
func (pid Port) SetMTU(mtu uint16) error {
	return errno.From(int(C.rte_eth_dev_set_mtu(pid.c(), C.uint16_t(mtu))))
}

// MACAddr is an Ethernet address.
type MACAddr C.struct_rte_ether_addr

// MACAddrGet writes the port's own address to addr.
func (pid Port) MACAddrGet(addr *MACAddr) error {
	return errno.From(int(C.rte_eth_macaddr_get(pid.c(), (*C.struct_rte_ether_addr)(addr))))
}

// HardwareAddr returns a copy of the address.
func (addr *MACAddr) HardwareAddr() net.HardwareAddr {
	return C.GoBytes(unsafe.Pointer(addr), C.RTE_ETHER_ADDR_LEN)
}

// String returns the address as net.HardwareAddr prints it.
func (addr *MACAddr) String() string { return addr.HardwareAddr().String() }

func (pid Port) c() C.uint16_t { return C.uint16_t(pid) }

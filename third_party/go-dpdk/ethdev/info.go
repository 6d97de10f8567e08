package ethdev

/*
#include <net/if.h>
#include <rte_ethdev.h>

// cgo does not see bit-fields.
struct go_rte_eth_link {
	uint32_t speed;
	bool duplex, autoneg, status;
};

static int get_link(uint16_t port, bool wait, struct go_rte_eth_link *out)
{
	struct rte_eth_link link = { 0 };
	int rc = wait ? rte_eth_link_get(port, &link) : rte_eth_link_get_nowait(port, &link);

	out->speed = link.link_speed;
	out->duplex = link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	out->autoneg = link.link_autoneg == RTE_ETH_LINK_AUTONEG;
	out->status = link.link_status == RTE_ETH_LINK_UP;
	return rc;
}
*/
import "C"

import "github.com/yerden/go-dpdk/internal/errno"

// DevInfo is what a port's driver says of it.
type DevInfo C.struct_rte_eth_dev_info

// InfoGet fills info.
func (pid Port) InfoGet(info *DevInfo) error {
	return errno.From(int(C.rte_eth_dev_info_get(pid.c(), (*C.struct_rte_eth_dev_info)(info))))
}

// DriverName returns the driver's name, "net_null" for example.
func (info *DevInfo) DriverName() string { return C.GoString(info.driver_name) }

// InterfaceName returns the name of the kernel interface that the port is bound
// to, or "".
func (info *DevInfo) InterfaceName() string {
	var name [C.IF_NAMESIZE]C.char
	return C.GoString(C.if_indextoname(info.if_index, &name[0]))
}

// RetaSize returns the number of entries of the RETA.
func (info *DevInfo) RetaSize() uint16 { return uint16(info.reta_size) }

// NbRxQueues returns the number of receive queues configured.
func (info *DevInfo) NbRxQueues() uint16 { return uint16(info.nb_rx_queues) }

// NbTxQueues returns the number of transmit queues configured.
func (info *DevInfo) NbTxQueues() uint16 { return uint16(info.nb_tx_queues) }

// MaxRxQueues returns how many receive queues the port can have.
func (info *DevInfo) MaxRxQueues() uint16 { return uint16(info.max_rx_queues) }

// MaxTxQueues returns how many transmit queues the port can have.
func (info *DevInfo) MaxTxQueues() uint16 { return uint16(info.max_tx_queues) }

// MinMTU returns the smallest MTU in bytes.
func (info *DevInfo) MinMTU() uint16 { return uint16(info.min_mtu) }

// MaxMTU returns the largest MTU in bytes.
func (info *DevInfo) MaxMTU() uint16 { return uint16(info.max_mtu) }

// MaxRxPktLen returns the longest frame in bytes that can be received.
func (info *DevInfo) MaxRxPktLen() uint32 { return uint32(info.max_rx_pktlen) }

// MinRxBufSize returns the smallest mbuf data room in bytes, less headroom.
func (info *DevInfo) MinRxBufSize() uint32 { return uint32(info.min_rx_bufsize) }

// EthLink is the state of a port's link.
type EthLink C.struct_go_rte_eth_link

// EthLinkGet returns the link's state, waiting up to 9 s for it to settle.
func (pid Port) EthLinkGet() (EthLink, error) { return pid.link(true) }

// EthLinkGetNowait returns the link's state as it is.
func (pid Port) EthLinkGetNowait() (EthLink, error) { return pid.link(false) }

func (pid Port) link(wait bool) (link EthLink, err error) {
	rc := C.get_link(pid.c(), C.bool(wait), (*C.struct_go_rte_eth_link)(&link))
	return link, errno.From(int(rc))
}

// Speed returns the speed in Mbit/s; all 32 bits set means unknown.
func (link *EthLink) Speed() uint32 { return uint32(link.speed) }

// Duplex reports full duplex.
func (link *EthLink) Duplex() bool { return bool(link.duplex) }

// AutoNeg reports that speed and duplex were negotiated.
func (link *EthLink) AutoNeg() bool { return bool(link.autoneg) }

// Status reports that the link is up.
func (link *EthLink) Status() bool { return bool(link.status) }

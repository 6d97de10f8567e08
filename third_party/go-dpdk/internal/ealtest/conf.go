package ealtest

/*
#cgo pkg-config: libdpdk
#cgo CFLAGS: -DALLOW_EXPERIMENTAL_API
#include <rte_ethdev.h>

struct flags {
	bool lsc, rxq, rmv, tagged, untagged, pvid;
};

static struct flags flags(const struct rte_eth_conf *c)
{
	return (struct flags){
		.lsc = c->intr_conf.lsc,
		.rxq = c->intr_conf.rxq,
		.rmv = c->intr_conf.rmv,
		.tagged = c->txmode.hw_vlan_reject_tagged,
		.untagged = c->txmode.hw_vlan_reject_untagged,
		.pvid = c->txmode.hw_vlan_insert_pvid,
	};
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// PortConf is a port's configuration as DPDK stores it, flattened.
type PortConf struct {
	RxMqMode, TxMqMode           uint
	RxOffloads, TxOffloads       uint64
	MTU                          uint32
	RSSKey                       string
	RSSHf                        uint64
	Pvid                         uint16
	LSC, RXQ, RMV                bool
	RejectTagged, RejectUntagged bool
	InsertPvid                   bool
}

// ReadPortConf reads what the last configuration of port left behind.
func ReadPortConf(port uint16) (PortConf, error) {
	var c C.struct_rte_eth_conf
	if rc := C.rte_eth_dev_conf_get(C.uint16_t(port), &c); rc != 0 {
		return PortConf{}, fmt.Errorf("read configuration of port %d: %d", port, rc)
	}
	rss, f := &c.rx_adv_conf.rss_conf, C.flags(&c)
	return PortConf{
		RxMqMode: uint(c.rxmode.mq_mode), TxMqMode: uint(c.txmode.mq_mode),
		RxOffloads: uint64(c.rxmode.offloads), TxOffloads: uint64(c.txmode.offloads),
		MTU:    uint32(c.rxmode.mtu),
		RSSKey: string(C.GoBytes(unsafe.Pointer(rss.rss_key), C.int(rss.rss_key_len))),
		RSSHf:  uint64(rss.rss_hf),
		Pvid:   uint16(c.txmode.pvid),
		LSC:    bool(f.lsc), RXQ: bool(f.rxq), RMV: bool(f.rmv),
		RejectTagged: bool(f.tagged), RejectUntagged: bool(f.untagged), InsertPvid: bool(f.pvid),
	}, nil
}

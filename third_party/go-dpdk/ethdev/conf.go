package ethdev

/*
#include <stdlib.h>
#include <rte_ethdev.h>

// cgo does not see bit-fields.
static void set_intr(struct rte_eth_intr_conf *c, bool lsc, bool rxq, bool rmv)
{
	c->lsc = lsc;
	c->rxq = rxq;
	c->rmv = rmv;
}

static void set_vlan(struct rte_eth_txmode *c, bool tagged, bool untagged, bool pvid)
{
	c->hw_vlan_reject_tagged = tagged;
	c->hw_vlan_reject_untagged = untagged;
	c->hw_vlan_insert_pvid = pvid;
}
*/
import "C"

import (
	"math"
	"syscall"
	"unsafe"

	"github.com/yerden/go-dpdk/internal/errno"
)

// Option changes how DevConfigure configures a port.
type Option struct {
	apply func(*devConf)
}

type devConf struct {
	eth    C.struct_rte_eth_conf
	rssKey []byte
}

// RxMode is how a port receives.
type RxMode struct {
	// MqMode is an RTE_ETH_MQ_RX_ value: how frames are spread over queues.
	MqMode uint
	// MTU in bytes; 0 is the driver's default.
	MTU uint32
	// SplitHdrSize is ignored: DPDK 22.11 has it no more.
	SplitHdrSize uint16
	// Offloads is a set of RTE_ETH_RX_OFFLOAD_ bits.
	Offloads uint64
}

// TxMode is how a port transmits.
type TxMode struct {
	// MqMode is an RTE_ETH_MQ_TX_ value.
	MqMode uint
	// Offloads is a set of RTE_ETH_TX_OFFLOAD_ bits.
	Offloads uint64
	// Pvid is the port's VLAN id.
	Pvid uint16
	// HwVlanRejectTagged refuses to send tagged frames.
	HwVlanRejectTagged bool
	// HwVlanRejectUntagged refuses to send untagged frames.
	HwVlanRejectUntagged bool
	// HwVlanInsertPvid tags frames with Pvid.
	HwVlanInsertPvid bool
}

// IntrConf is which interrupts a port raises: link state change, receive queue,
// removal.
type IntrConf struct {
	LSC, RXQ, RMV bool
}

// OptRxMode sets how the port receives.
func OptRxMode(conf RxMode) Option {
	return Option{func(c *devConf) {
		c.eth.rxmode.mq_mode = uint32(conf.MqMode)
		c.eth.rxmode.mtu = C.uint32_t(conf.MTU)
		c.eth.rxmode.offloads = C.uint64_t(conf.Offloads)
	}}
}

// OptTxMode sets how the port transmits.
func OptTxMode(conf TxMode) Option {
	return Option{func(c *devConf) {
		c.eth.txmode.mq_mode = uint32(conf.MqMode)
		c.eth.txmode.offloads = C.uint64_t(conf.Offloads)
		c.eth.txmode.pvid = C.uint16_t(conf.Pvid)
		C.set_vlan(&c.eth.txmode, C.bool(conf.HwVlanRejectTagged),
			C.bool(conf.HwVlanRejectUntagged), C.bool(conf.HwVlanInsertPvid))
	}}
}

// OptRss sets the port's RSS key and hash functions; RxMode.MqMode must ask for
// RSS. Without a key the driver's own is used.
func OptRss(conf RssConf) Option {
	return Option{func(c *devConf) {
		c.rssKey = conf.Key
		c.eth.rx_adv_conf.rss_conf.rss_hf = C.uint64_t(conf.Hf)
	}}
}

// OptIntrConf sets which interrupts the port raises.
func OptIntrConf(intr IntrConf) Option {
	return Option{func(c *devConf) {
		C.set_intr(&c.eth.intr_conf, C.bool(intr.LSC), C.bool(intr.RXQ), C.bool(intr.RMV))
	}}
}

// rssKeys are the keys in use: drivers read them again at each start.
var rssKeys [C.RTE_MAX_ETHPORTS]unsafe.Pointer

// DevConfigure gives a stopped port nrxq receive and ntxq transmit queues and
// applies opts. It comes before queue set-up.
func (pid Port) DevConfigure(nrxq, ntxq uint16, opts ...Option) error {
	if !pid.IsValid() {
		return syscall.ENODEV
	}
	var conf devConf
	for _, o := range opts {
		o.apply(&conf)
	}
	if len(conf.rssKey) > math.MaxUint8 {
		return syscall.EINVAL
	}
	return pid.configure(nrxq, ntxq, &conf)
}

// configure keeps the RSS key in C memory for as long as DPDK points to it. A
// failed configuration leaves the port with the old one, key included.
func (pid Port) configure(nrxq, ntxq uint16, conf *devConf) error {
	key := cBytes(conf.rssKey)
	conf.eth.rx_adv_conf.rss_conf.rss_key = (*C.uint8_t)(key)
	conf.eth.rx_adv_conf.rss_conf.rss_key_len = C.uint8_t(len(conf.rssKey))
	rc := C.rte_eth_dev_configure(pid.c(), C.uint16_t(nrxq), C.uint16_t(ntxq), &conf.eth)
	if rc == 0 {
		key, rssKeys[pid] = rssKeys[pid], key
	}
	C.free(key)
	return errno.From(int(rc))
}

func cBytes(b []byte) unsafe.Pointer {
	if len(b) == 0 {
		return nil
	}
	return C.CBytes(b)
}

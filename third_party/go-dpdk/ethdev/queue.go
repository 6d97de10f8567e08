package ethdev

/*
#include <rte_ethdev.h>
*/
import "C"

import (
	"unsafe"

	"github.com/yerden/go-dpdk/internal/errno"
	"github.com/yerden/go-dpdk/mbuf"
	"github.com/yerden/go-dpdk/mempool"
)

// QueueOption changes how RxqSetup or TxqSetup sets up a queue.
type QueueOption struct {
	apply func(*queueConf)
}

// queueConf holds nil where the driver's default is wanted.
type queueConf struct {
	socket C.int
	rx     *C.struct_rte_eth_rxconf
	tx     *C.struct_rte_eth_txconf
}

// Thresh holds a ring's threshold registers, in descriptors.
type Thresh struct {
	// PThresh is the prefetch threshold.
	PThresh uint8
	// HThresh is the host threshold.
	HThresh uint8
	// WThresh is the write-back threshold.
	WThresh uint8
}

// RxqConf is how a receive queue works.
type RxqConf struct {
	Thresh
	// FreeThresh is how many free descriptors are kept back before a refill.
	FreeThresh uint16
	// DropEn, if not 0, drops frames when no descriptor is free.
	DropEn uint8
	// DeferredStart, if not 0, keeps Start from starting the queue.
	DeferredStart uint8
	// Offloads is a set of RTE_ETH_RX_OFFLOAD_ bits.
	Offloads uint64
}

// TxqConf is how a transmit queue works.
type TxqConf struct {
	Thresh
	// RsThresh is how many descriptors apart the NIC reports them done.
	RsThresh uint16
	// FreeThresh: with fewer free descriptors than this, sent mbufs are freed.
	FreeThresh uint16
	// DeferredStart, if not 0, keeps Start from starting the queue.
	DeferredStart uint8
	// Offloads is a set of RTE_ETH_TX_OFFLOAD_ bits.
	Offloads uint64
}

// OptRxqConf replaces the driver's defaults for a receive queue, every field.
func OptRxqConf(conf RxqConf) QueueOption {
	return QueueOption{func(q *queueConf) {
		q.rx = &C.struct_rte_eth_rxconf{
			rx_thresh:         conf.Thresh.c(),
			rx_free_thresh:    C.uint16_t(conf.FreeThresh),
			rx_drop_en:        C.uint8_t(conf.DropEn),
			rx_deferred_start: C.uint8_t(conf.DeferredStart),
			offloads:          C.uint64_t(conf.Offloads),
		}
	}}
}

// OptTxqConf replaces the driver's defaults for a transmit queue, every field.
func OptTxqConf(conf TxqConf) QueueOption {
	return QueueOption{func(q *queueConf) {
		q.tx = &C.struct_rte_eth_txconf{
			tx_thresh:         conf.Thresh.c(),
			tx_rs_thresh:      C.uint16_t(conf.RsThresh),
			tx_free_thresh:    C.uint16_t(conf.FreeThresh),
			tx_deferred_start: C.uint8_t(conf.DeferredStart),
			offloads:          C.uint64_t(conf.Offloads),
		}
	}}
}

// OptSocket sets the NUMA node of the queue's memory. The default is any.
func OptSocket(socket int) QueueOption {
	return QueueOption{func(q *queueConf) { q.socket = C.int(socket) }}
}

// RxqSetup gives receive queue qid nDesc descriptors, and mp for its mbufs.
func (pid Port) RxqSetup(qid, nDesc uint16, mp *mempool.Mempool, opts ...QueueOption) error {
	q := newQueueConf(opts)
	return errno.From(int(C.rte_eth_rx_queue_setup(pid.c(), C.uint16_t(qid), C.uint16_t(nDesc),
		C.uint(q.socket), q.rx, (*C.struct_rte_mempool)(unsafe.Pointer(mp)))))
}

// TxqSetup gives transmit queue qid nDesc descriptors.
func (pid Port) TxqSetup(qid, nDesc uint16, opts ...QueueOption) error {
	q := newQueueConf(opts)
	return errno.From(int(C.rte_eth_tx_queue_setup(pid.c(), C.uint16_t(qid), C.uint16_t(nDesc),
		C.uint(q.socket), q.tx)))
}

// RxBurst fills pkts from queue qid and returns how many it got. The caller owns
// them. With pkts in C memory cgo's pointer check is cheap.
func (pid Port) RxBurst(qid uint16, pkts []*mbuf.Mbuf) uint16 {
	return uint16(C.rte_eth_rx_burst(pid.c(), C.uint16_t(qid), cMbufs(pkts), C.uint16_t(len(pkts))))
}

// TxBurst gives pkts to queue qid and returns how many it took; the caller still
// owns the rest.
func (pid Port) TxBurst(qid uint16, pkts []*mbuf.Mbuf) uint16 {
	return uint16(C.rte_eth_tx_burst(pid.c(), C.uint16_t(qid), cMbufs(pkts), C.uint16_t(len(pkts))))
}

func newQueueConf(opts []QueueOption) queueConf {
	q := queueConf{socket: C.SOCKET_ID_ANY}
	for _, o := range opts {
		o.apply(&q)
	}
	return q
}

func cMbufs(pkts []*mbuf.Mbuf) **C.struct_rte_mbuf {
	return (**C.struct_rte_mbuf)(unsafe.Pointer(unsafe.SliceData(pkts)))
}

func (t Thresh) c() C.struct_rte_eth_thresh {
	return C.struct_rte_eth_thresh{
		pthresh: C.uint8_t(t.PThresh),
		hthresh: C.uint8_t(t.HThresh),
		wthresh: C.uint8_t(t.WThresh),
	}
}

// Package mbuf holds DPDK's packet buffers.
package mbuf

/*
#cgo pkg-config: libdpdk
#include <stddef.h>
#include <rte_mbuf.h>

// Where fields are, whichever unions a DPDK release puts them in.
enum {
	BUF_ADDR = offsetof(struct rte_mbuf, buf_addr),
	DATA_OFF = offsetof(struct rte_mbuf, data_off),
	DATA_LEN = offsetof(struct rte_mbuf, data_len),
	PKT_LEN = offsetof(struct rte_mbuf, pkt_len),
};
*/
import "C"

import (
	"errors"
	"unsafe"

	"github.com/yerden/go-dpdk/internal/errno"
	"github.com/yerden/go-dpdk/mempool"
)

// ErrNullData means that DPDK had no room for what was asked.
var ErrNullData = errors.New("NULL response returned")

// Mbuf is a packet's buffer, or one segment of it, in C memory.
type Mbuf C.struct_rte_mbuf

// PktMbufAlloc takes an empty mbuf from p, or returns nil when p has none left.
func PktMbufAlloc(p *mempool.Mempool) *Mbuf {
	return (*Mbuf)(C.rte_pktmbuf_alloc(cPool(p)))
}

// PktMbufAllocBulk fills ms with empty mbufs from p: all of them, or none and
// syscall.ENOBUFS.
func PktMbufAllocBulk(p *mempool.Mempool, ms []*Mbuf) error {
	return errno.From(int(C.rte_pktmbuf_alloc_bulk(cPool(p), cMbufs(ms), C.uint(len(ms)))))
}

// PktMbufFree gives the packet, all its segments, back to its pool.
func (m *Mbuf) PktMbufFree() { C.rte_pktmbuf_free(m.c()) }

// PktMbufFreeBulk gives the packets back to their pools; nil ones are passed over.
func PktMbufFreeBulk(ms []*Mbuf) { C.rte_pktmbuf_free_bulk(cMbufs(ms), C.uint(len(ms))) }

// PktMbufAppend copies data to the end of the packet; ErrNullData means that
// the last segment has no room for it.
func (m *Mbuf) PktMbufAppend(data []byte) error {
	if len(data) > maxSegment {
		return ErrNullData
	}
	tail := C.rte_pktmbuf_append(m.c(), C.uint16_t(len(data)))
	if tail == nil {
		return ErrNullData
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(tail)), len(data)), data)
	return nil
}

// Data returns the bytes of this segment, in place: dead once the mbuf is freed
// or transmitted.
func (m *Mbuf) Data() []byte {
	start := unsafe.Add(*at[unsafe.Pointer](m, C.BUF_ADDR), *at[uint16](m, C.DATA_OFF))
	return unsafe.Slice((*byte)(start), *at[uint16](m, C.DATA_LEN))
}

// PktLen returns the length in bytes of the packet, all its segments.
func (m *Mbuf) PktLen() uint32 { return *at[uint32](m, C.PKT_LEN) }

const maxSegment = 1<<16 - 1 // data_len is 16 bits

func at[T any](m *Mbuf, offset uintptr) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(m), offset))
}

func (m *Mbuf) c() *C.struct_rte_mbuf { return (*C.struct_rte_mbuf)(m) }

func cPool(p *mempool.Mempool) *C.struct_rte_mempool {
	return (*C.struct_rte_mempool)(unsafe.Pointer(p))
}

func cMbufs(ms []*Mbuf) **C.struct_rte_mbuf {
	return (**C.struct_rte_mbuf)(unsafe.Pointer(unsafe.SliceData(ms)))
}

// Package mempool holds DPDK's pools of mbufs.
package mempool

/*
#cgo pkg-config: libdpdk
#include <errno.h>
#include <stdlib.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

// rte_errno is thread-local: it must be read before Go can change threads.
static struct rte_mempool *create_mbuf_pool(const char *name, unsigned int n,
	unsigned int cache, uint16_t priv, uint16_t room, int socket, const char *ops)
{
	struct rte_mempool *mp =
		rte_pktmbuf_pool_create_by_ops(name, n, cache, priv, room, socket, ops);

	if (mp == NULL)
		errno = rte_errno;
	return mp;
}

static struct rte_mempool *lookup(const char *name)
{
	struct rte_mempool *mp = rte_mempool_lookup(name);

	if (mp == NULL)
		errno = rte_errno;
	return mp;
}
*/
import "C"

import (
	"fmt"
	"math"
	"syscall"
	"unsafe"
)

// Mempool is a pool of objects of one size, in C memory.
type Mempool C.struct_rte_mempool

// Option changes how a pool is made.
type Option struct {
	apply func(*config)
}

type config struct {
	opsName  string
	cache    uint32
	privSize uint32
	socket   int
}

// OptOpsName chooses the pool's driver ("ring_mp_mc", "stack", ...) in place of
// the one EAL thinks best.
func OptOpsName(name string) Option {
	return Option{func(c *config) { c.opsName = name }}
}

// OptCacheSize sets how many objects each lcore may keep to itself, at most
// RTE_MEMPOOL_CACHE_MAX_SIZE (512). The default is none.
func OptCacheSize(size uint32) Option {
	return Option{func(c *config) { c.cache = size }}
}

// OptPrivateDataSize sets the size in bytes of the room between each mbuf and
// its buffer, a multiple of RTE_MBUF_PRIV_ALIGN (8). The default is 0.
func OptPrivateDataSize(size uint32) Option {
	return Option{func(c *config) { c.privSize = size }}
}

// OptSocket sets the NUMA node of the memory. The default is any.
func OptSocket(socket int) Option {
	return Option{func(c *config) { c.socket = socket }}
}

// CreateMbufPool makes a pool of n mbufs, each with dataRoomSize bytes of
// buffer, headroom (RTE_PKTMBUF_HEADROOM) included. n is best a power of two
// less one. The error wraps rte_errno as a syscall.Errno.
func CreateMbufPool(name string, n uint32, dataRoomSize uint16, opts ...Option) (*Mempool, error) {
	c := config{socket: C.SOCKET_ID_ANY}
	for _, o := range opts {
		o.apply(&c)
	}
	mp, err := c.create(name, n, dataRoomSize)
	if mp == nil {
		return nil, fmt.Errorf("create mbuf pool %q of %d: %w", name, n, err)
	}
	return mp, nil
}

func (c *config) create(name string, n uint32, room uint16) (*Mempool, error) {
	if c.privSize > math.MaxUint16 {
		return nil, syscall.EINVAL
	}
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	var ops *C.char
	if c.opsName != "" {
		ops = C.CString(c.opsName)
		defer C.free(unsafe.Pointer(ops))
	}
	mp, err := C.create_mbuf_pool(cName, C.uint(n), C.uint(c.cache),
		C.uint16_t(c.privSize), C.uint16_t(room), C.int(c.socket), ops)
	return (*Mempool)(mp), err
}

// Lookup finds a pool by name; without one the error is syscall.ENOENT.
func Lookup(name string) (*Mempool, error) {
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	mp, err := C.lookup(cName)
	if mp == nil {
		return nil, err
	}
	return (*Mempool)(mp), nil
}

// Free gives the pool's memory back; its mbufs must no longer be used.
func (mp *Mempool) Free() { C.rte_mempool_free(mp.c()) }

// AvailCount returns the number of free objects, those in lcores' caches
// included. It looks at every cache: not for the fast path.
func (mp *Mempool) AvailCount() int { return int(C.rte_mempool_avail_count(mp.c())) }

// InUseCount returns the number of objects that are taken.
func (mp *Mempool) InUseCount() int { return int(C.rte_mempool_in_use_count(mp.c())) }

// IsFull reports whether no object is taken.
func (mp *Mempool) IsFull() bool { return C.rte_mempool_full(mp.c()) != 0 }

func (mp *Mempool) c() *C.struct_rte_mempool { return (*C.struct_rte_mempool)(mp) }

package ethdev

/*
#include <string.h>
#include <rte_ethdev.h>

static int rss_update(uint16_t port, uint8_t *key, uint8_t len, uint64_t hf)
{
	struct rte_eth_rss_conf conf = {
		.rss_key = key, .rss_key_len = len, .rss_hf = hf,
	};

	return rte_eth_dev_rss_hash_update(port, &conf);
}

// Some drivers write their whole key whatever length is asked for.
static int rss_get(uint16_t port, uint8_t *key, uint8_t *len, uint64_t *hf)
{
	uint8_t whole[UINT8_MAX];
	struct rte_eth_rss_conf conf = { .rss_key = whole, .rss_key_len = *len };
	int rc = rte_eth_dev_rss_hash_conf_get(port, &conf);

	if (rc != 0)
		return rc;
	*len = RTE_MIN(*len, conf.rss_key_len);
	memcpy(key, whole, *len);
	*hf = conf.rss_hf;
	return 0;
}
*/
import "C"

import (
	"math"
	"syscall"
	"unsafe"

	"github.com/yerden/go-dpdk/internal/errno"
)

// RssConf is a port's RSS hash.
type RssConf struct {
	// Key is the hash key; its length is the driver's, 40 or 52 bytes as a rule.
	Key []byte
	// Hf is a set of RTE_ETH_RSS_ bits: what is hashed.
	Hf uint64
}

// RssHashUpdate sets the hash functions, and the key if there is one.
func (pid Port) RssHashUpdate(conf *RssConf) error {
	if len(conf.Key) > math.MaxUint8 {
		return syscall.EINVAL
	}
	return errno.From(int(C.rss_update(pid.c(), (*C.uint8_t)(unsafe.SliceData(conf.Key)),
		C.uint8_t(len(conf.Key)), C.uint64_t(conf.Hf))))
}

// RssHashConfGet fills conf: Hf, and Key as far as it has room, cut to the
// length that the driver reports.
func (pid Port) RssHashConfGet(conf *RssConf) error {
	n := C.uint8_t(min(len(conf.Key), math.MaxUint8))
	var hf C.uint64_t
	if err := errno.From(int(C.rss_get(pid.c(), (*C.uint8_t)(unsafe.SliceData(conf.Key)), &n, &hf))); err != nil {
		return err
	}
	conf.Key, conf.Hf = conf.Key[:n], uint64(hf)
	return nil
}

// RssRetaEntry64 is 64 entries of the RETA: which queue each hash goes to.
type RssRetaEntry64 C.struct_rte_eth_rss_reta_entry64

// Reta returns the 64 queue ids, in place.
func (conf *RssRetaEntry64) Reta() (reta []uint16) {
	return unsafe.Slice((*uint16)(&conf.reta[0]), len(conf.reta))
}

// Mask returns which of the 64 entries are asked for, in place.
func (conf *RssRetaEntry64) Mask() *uint64 { return (*uint64)(&conf.mask) }

// RssRetaQuery fills the masked entries of conf. retaSize is the whole table's,
// DevInfo.RetaSize; conf holds one element per 64 of it.
func (pid Port) RssRetaQuery(conf []RssRetaEntry64, retaSize uint16) error {
	if int(retaSize) > len(conf)*C.RTE_ETH_RETA_GROUP_SIZE {
		return syscall.EINVAL
	}
	return errno.From(int(C.rte_eth_dev_rss_reta_query(pid.c(),
		(*C.struct_rte_eth_rss_reta_entry64)(unsafe.SliceData(conf)), C.uint16_t(retaSize))))
}

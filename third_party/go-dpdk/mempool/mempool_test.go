package mempool_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/yerden/go-dpdk/internal/ealtest"
	"github.com/yerden/go-dpdk/mbuf"
	"github.com/yerden/go-dpdk/mempool"
)

func TestMain(m *testing.M) { ealtest.Main(m) }

func newPool(t *testing.T, n uint32, opts ...mempool.Option) *mempool.Mempool {
	t.Helper()
	mp, err := mempool.CreateMbufPool("test", n, 2176, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mp.Free)
	return mp
}

func TestPoolCountsItsMbufs(t *testing.T) {
	mp := newPool(t, 127, mempool.OptCacheSize(16), mempool.OptPrivateDataSize(64), mempool.OptSocket(0))
	check := func(avail, inUse int, full bool) {
		t.Helper()
		if mp.AvailCount() != avail || mp.InUseCount() != inUse || mp.IsFull() != full {
			t.Errorf("available %d, in use %d, full %v; want %d, %d, %v",
				mp.AvailCount(), mp.InUseCount(), mp.IsFull(), avail, inUse, full)
		}
	}
	check(127, 0, true)
	ms := make([]*mbuf.Mbuf, 100)
	if err := mbuf.PktMbufAllocBulk(mp, ms); err != nil {
		t.Fatal(err)
	}
	check(27, 100, false)
	mbuf.PktMbufFreeBulk(ms)
	check(127, 0, true)
}

func TestLookupFindsUntilFreed(t *testing.T) {
	mp, err := mempool.CreateMbufPool("looked-up", 63, 2176)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := mempool.Lookup("looked-up"); got != mp || err != nil {
		t.Errorf("Lookup = %p, %v; want %p", got, err, mp)
	}
	mp.Free()
	if got, err := mempool.Lookup("looked-up"); got != nil || err != syscall.ENOENT {
		t.Errorf("Lookup of a freed pool = %p, %v; want nil, ENOENT", got, err)
	}
}

func TestOpsNameChoosesDriver(t *testing.T) {
	newPool(t, 63, mempool.OptOpsName("stack"))
	_, err := mempool.CreateMbufPool("no-such-ops", 63, 2176, mempool.OptOpsName("none"))
	if err == nil {
		t.Error("a driver that does not exist was accepted")
	}
}

func TestCreateErrors(t *testing.T) {
	newPool(t, 63)
	tests := []struct {
		name string
		pool string
		opt  mempool.Option
		want error
	}{
		{"name taken", "test", mempool.OptCacheSize(0), syscall.EEXIST},
		{"name too long", "a-name-longer-than-the-memzone-allows", mempool.OptCacheSize(0), syscall.ENAMETOOLONG},
		{"cache too large", "cache", mempool.OptCacheSize(513), syscall.EINVAL},
		{"no such NUMA node", "node", mempool.OptSocket(7), syscall.EINVAL},
		{"private size unaligned", "priv", mempool.OptPrivateDataSize(3), syscall.EINVAL},
		{"private size over 16 bits", "priv", mempool.OptPrivateDataSize(1 << 16), syscall.EINVAL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mp, err := mempool.CreateMbufPool(tt.pool, 63, 2176, tt.opt)
			if mp != nil || !errors.Is(err, tt.want) {
				t.Errorf("CreateMbufPool = %p, %v; want nil, %v", mp, err, tt.want)
			}
		})
	}
}

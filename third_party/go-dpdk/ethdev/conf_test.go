package ethdev_test

import (
	"bytes"
	"runtime"
	"syscall"
	"testing"

	"github.com/yerden/go-dpdk/ethdev"
	"github.com/yerden/go-dpdk/internal/ealtest"
)

const (
	mqRSS       = 1       // RTE_ETH_MQ_RX_RSS
	mqTxVMDq    = 3       // RTE_ETH_MQ_TX_VMDQ_ONLY
	rxScatter   = 1 << 13 // RTE_ETH_RX_OFFLOAD_SCATTER
	txMultiSegs = 1 << 15 // RTE_ETH_TX_OFFLOAD_MULTI_SEGS
	rssIPv4     = 1 << 2  // RTE_ETH_RSS_IPV4
	rssTCP      = 1 << 4  // RTE_ETH_RSS_NONFRAG_IPV4_TCP

	nullKeyLen   = 40
	nullRetaSize = 128
	retaGroup    = 64 // RTE_ETH_RETA_GROUP_SIZE
)

// configured returns what DPDK has after pid was configured with opts.
func configured(t *testing.T, pid ethdev.Port, opts ...ethdev.Option) ealtest.PortConf {
	t.Helper()
	if err := pid.DevConfigure(1, 1, opts...); err != nil {
		t.Fatal(err)
	}
	c, err := ealtest.ReadPortConf(uint16(pid))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOptionsReachThePort(t *testing.T) {
	pid := port(t, null)
	base := configured(t, pid)
	key := bytes.Repeat([]byte{0x6d, 0x5a}, nullKeyLen/2)
	tests := []struct {
		name string
		opt  ethdev.Option
		want func(*ealtest.PortConf)
	}{
		{"rx mode", ethdev.OptRxMode(ethdev.RxMode{MqMode: mqRSS, MTU: 1400, SplitHdrSize: 64}),
			func(c *ealtest.PortConf) { c.RxMqMode, c.MTU = mqRSS, 1400 }},
		{"tx mode", ethdev.OptTxMode(ethdev.TxMode{MqMode: mqTxVMDq, Pvid: 7}),
			func(c *ealtest.PortConf) { c.TxMqMode, c.Pvid = mqTxVMDq, 7 }},
		{"reject tagged", ethdev.OptTxMode(ethdev.TxMode{HwVlanRejectTagged: true}),
			func(c *ealtest.PortConf) { c.RejectTagged = true }},
		{"reject untagged", ethdev.OptTxMode(ethdev.TxMode{HwVlanRejectUntagged: true}),
			func(c *ealtest.PortConf) { c.RejectUntagged = true }},
		{"insert VLAN", ethdev.OptTxMode(ethdev.TxMode{HwVlanInsertPvid: true}),
			func(c *ealtest.PortConf) { c.InsertPvid = true }},
		{"rx queue interrupt", ethdev.OptIntrConf(ethdev.IntrConf{RXQ: true}),
			func(c *ealtest.PortConf) { c.RXQ = true }},
		{"RSS", ethdev.OptRss(ethdev.RssConf{Key: key, Hf: rssIPv4}),
			func(c *ealtest.PortConf) { c.RSSKey, c.RSSHf = string(key), rssIPv4 }},
		{"RSS without a key", ethdev.OptRss(ethdev.RssConf{Hf: rssIPv4}),
			func(c *ealtest.PortConf) { c.RSSHf = rssIPv4 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := base
			tt.want(&want)
			if got := configured(t, pid, tt.opt); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestOffloadsReachThePort(t *testing.T) {
	got := configured(t, port(t, ring),
		ethdev.OptRxMode(ethdev.RxMode{Offloads: rxScatter}), ethdev.OptTxMode(ethdev.TxMode{Offloads: txMultiSegs}))
	if got.RxOffloads != rxScatter || got.TxOffloads != txMultiSegs {
		t.Errorf("offloads %#x in, %#x out; want %#x, %#x", got.RxOffloads, got.TxOffloads, rxScatter, txMultiSegs)
	}
}

func TestRefusedConfigurationKeepsTheOldOne(t *testing.T) {
	pid := port(t, null)
	key := bytes.Repeat([]byte{0xa5}, nullKeyLen)
	want := configured(t, pid, ethdev.OptRss(ethdev.RssConf{Key: key, Hf: rssIPv4}))
	for name, opt := range map[string]ethdev.Option{
		"link interrupt that the driver lacks": ethdev.OptIntrConf(ethdev.IntrConf{LSC: true}),
		"removal interrupt that it lacks":      ethdev.OptIntrConf(ethdev.IntrConf{RMV: true}),
		"rx offload that it lacks":             ethdev.OptRxMode(ethdev.RxMode{Offloads: 1 << 63}),
		"hash that it lacks":                   ethdev.OptRss(ethdev.RssConf{Key: make([]byte, nullKeyLen), Hf: 1 << 63}),
		"key too long for its length field":    ethdev.OptRss(ethdev.RssConf{Key: make([]byte, 256)}),
	} {
		if err := pid.DevConfigure(1, 1, opt); err != syscall.EINVAL {
			t.Errorf("%s: %v, want EINVAL", name, err)
		}
	}
	runtime.GC()
	if got, err := ealtest.ReadPortConf(uint16(pid)); got != want || err != nil {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

func TestRssHash(t *testing.T) {
	pid := port(t, null)
	configured(t, pid, ethdev.OptRxMode(ethdev.RxMode{MqMode: mqRSS}), ethdev.OptRss(ethdev.RssConf{Hf: rssIPv4}))
	key := make([]byte, nullKeyLen)
	for i := range key {
		key[i] = byte(i)
	}
	if err := pid.RssHashUpdate(&ethdev.RssConf{Key: key, Hf: rssTCP}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 8, nullKeyLen} {
		got := ethdev.RssConf{Key: make([]byte, n)}
		if err := pid.RssHashConfGet(&got); err != nil || !bytes.Equal(got.Key, key[:n]) || got.Hf != rssTCP {
			t.Errorf("with room for %d: %+v, %v; want key % x, hash %#x", n, got, err, key[:n], rssTCP)
		}
	}
	if err := pid.RssHashUpdate(&ethdev.RssConf{Hf: rssIPv4}); err != nil {
		t.Fatal(err)
	}
	got := ethdev.RssConf{Key: make([]byte, nullKeyLen)}
	if err := pid.RssHashConfGet(&got); err != nil || !bytes.Equal(got.Key, key) || got.Hf != rssIPv4 {
		t.Errorf("after an update without a key: %+v, %v; want the key kept, hash %#x", got, err, rssIPv4)
	}
}

func TestRssHashErrors(t *testing.T) {
	pid := port(t, null)
	configured(t, pid, ethdev.OptRxMode(ethdev.RxMode{MqMode: mqRSS}))
	group := make([]ethdev.RssRetaEntry64, 1)
	*group[0].Mask() = 1
	for name, tt := range map[string]struct {
		got  error
		want syscall.Errno
	}{
		"update of an absent port": {absent.RssHashUpdate(&ethdev.RssConf{}), syscall.ENODEV},
		"read of an absent port":   {absent.RssHashConfGet(&ethdev.RssConf{}), syscall.ENODEV},
		"unknown hash":             {pid.RssHashUpdate(&ethdev.RssConf{Hf: 1 << 63}), syscall.EINVAL},
		"key too long":             {pid.RssHashUpdate(&ethdev.RssConf{Key: make([]byte, 256)}), syscall.EINVAL},
		"RETA of an absent port":   {absent.RssRetaQuery(group, retaGroup), syscall.ENODEV},
		"RETA of another size":     {pid.RssRetaQuery(group, retaGroup), syscall.EINVAL},
		"RETA without room":        {pid.RssRetaQuery(group, nullRetaSize), syscall.EINVAL},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", name, tt.got, tt.want)
		}
	}
}

// net_null's RETA is all zeros until someone changes it.
func TestRssRetaQueryFillsWhatIsMasked(t *testing.T) {
	pid := port(t, null)
	configured(t, pid, ethdev.OptRxMode(ethdev.RxMode{MqMode: mqRSS}))
	reta := make([]ethdev.RssRetaEntry64, nullRetaSize/retaGroup)
	for i := range reta {
		for j := range reta[i].Reta() {
			reta[i].Reta()[j] = 0xffff
		}
	}
	*reta[0].Mask() = 1 << 3
	*reta[1].Mask() = 1<<63 | 1<<0
	if err := pid.RssRetaQuery(reta, nullRetaSize); err != nil {
		t.Fatal(err)
	}
	for i := range reta {
		for j, queue := range reta[i].Reta() {
			if asked := *reta[i].Mask()>>j&1 == 1; asked != (queue == 0) {
				t.Errorf("entry %d.%d asked for: %v, queue %d", i, j, asked, queue)
			}
		}
	}
}

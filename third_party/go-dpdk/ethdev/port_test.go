package ethdev_test

import (
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/yerden/go-dpdk/ethdev"
	"github.com/yerden/go-dpdk/internal/ealtest"
	"github.com/yerden/go-dpdk/mempool"
)

const (
	null = "net_null0" // receives zeroed frames for ever, swallows what is sent
	ring = "net_ring0" // receives what it sends
	tap  = "net_tap0"  // a kernel interface

	tapMAC = "02:00:00:00:00:01"
	absent = ethdev.Port(31)
)

var (
	tapInterface = fmt.Sprintf("godpdk%d", os.Getpid()%1e6)
	tunMissing   = checkTUN()
)

func TestMain(m *testing.M) {
	vdevs := []string{null, ring}
	if tunMissing == nil {
		vdevs = append(vdevs, fmt.Sprintf("%s,iface=%s,mac=%s", tap, tapInterface, tapMAC))
	}
	ealtest.Main(m, vdevs...)
}

func checkTUN() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err == nil {
		f.Close()
	}
	return err
}

func needTap(t *testing.T) ethdev.Port {
	t.Helper()
	if tunMissing != nil {
		ealtest.Missing(t, "net_tap needs /dev/net/tun: "+tunMissing.Error())
	}
	return port(t, tap)
}

func port(t *testing.T, name string) ethdev.Port {
	t.Helper()
	pid, err := ethdev.GetPortByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// newPool makes a pool whose mbufs must all be back at the test's end.
func newPool(t *testing.T, n uint32) *mempool.Mempool {
	t.Helper()
	mp, err := mempool.CreateMbufPool("test", n, 2176)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := mp.InUseCount(); n != 0 {
			t.Errorf("%d mbufs were not freed", n)
		}
		mp.Free()
	})
	return mp
}

// start configures one queue each way and starts the port until the test's end.
func start(t *testing.T, pid ethdev.Port, mp *mempool.Mempool, opts ...ethdev.Option) {
	t.Helper()
	for _, step := range []func() error{
		func() error { return pid.DevConfigure(1, 1, opts...) },
		func() error { return pid.RxqSetup(0, 64, mp, ethdev.OptSocket(0)) },
		func() error { return pid.TxqSetup(0, 64, ethdev.OptSocket(0)) },
		pid.Start,
		pid.StatsReset,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(pid.Stop)
}

func TestPorts(t *testing.T) {
	names := []string{null, ring}
	if tunMissing == nil {
		names = append(names, tap)
	}
	var want []ethdev.Port
	for _, name := range names {
		pid := port(t, name)
		want = append(want, pid)
		if got, err := pid.Name(); got != name || err != nil {
			t.Errorf("name of port %d = %q, %v; want %q", pid, got, err, name)
		}
		if !pid.IsValid() || pid.SocketID() != 0 {
			t.Errorf("%s: valid %v, socket %d; want true, 0", name, pid.IsValid(), pid.SocketID())
		}
	}
	if got := ethdev.ValidPorts(); !slices.Equal(got, want) || ethdev.CountAvail() != len(want) {
		t.Errorf("ports %v, count %d; want %v", got, ethdev.CountAvail(), want)
	}
	if absent.IsValid() {
		t.Error("a port that does not exist is valid")
	}
}

func TestErrorsAreErrnos(t *testing.T) {
	mp := newPool(t, 63)
	pid := port(t, null)
	start(t, pid, mp)
	pid.Stop()
	var stats ethdev.Stats
	tests := []struct {
		name string
		got  error
		want syscall.Errno
	}{
		{"name of an absent port", second(absent.Name()), syscall.ENODEV},
		{"port of an unknown name", second(ethdev.GetPortByName("net_null9")), syscall.ENODEV},
		{"configure an absent port", absent.DevConfigure(1, 1), syscall.ENODEV},
		{"configure too many queues", pid.DevConfigure(2000, 1), syscall.EINVAL},
		{"rx queue that is not configured", pid.RxqSetup(1, 64, mp), syscall.EINVAL},
		{"tx queue that is not configured", pid.TxqSetup(1, 64), syscall.EINVAL},
		{"rx queue with an unknown offload", pid.RxqSetup(0, 64, mp, ethdev.OptRxqConf(ethdev.RxqConf{Offloads: 1 << 63})), syscall.EINVAL},
		{"tx queue with an unknown offload", pid.TxqSetup(0, 64, ethdev.OptTxqConf(ethdev.TxqConf{Offloads: 1 << 63})), syscall.EINVAL},
		{"start an absent port", absent.Start(), syscall.ENODEV},
		{"statistics of an absent port", absent.StatsGet(&stats), syscall.ENODEV},
		{"reset of an absent port", absent.StatsReset(), syscall.ENODEV},
		{"link of an absent port", second(absent.EthLinkGet()), syscall.ENODEV},
		{"MAC address of an absent port", absent.MACAddrGet(new(ethdev.MACAddr)), syscall.ENODEV},
		{"information on an absent port", absent.InfoGet(new(ethdev.DevInfo)), syscall.ENODEV},
		{"MTU of an absent port", second(absent.GetMTU()), syscall.ENODEV},
		{"MTU below the minimum", pid.SetMTU(20), syscall.EINVAL},
		{"promiscuous absent port", absent.PromiscEnable(), syscall.ENODEV},
		{"choosy absent port", absent.PromiscDisable(), syscall.ENODEV},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestInfo(t *testing.T) {
	pid := port(t, null)
	if err := pid.DevConfigure(2, 3); err != nil {
		t.Fatal(err)
	}
	var info ethdev.DevInfo
	if err := pid.InfoGet(&info); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s %q reta=%d rx=%d/%d tx=%d/%d mtu=%d-%d len=%d buf=%d", info.DriverName(), info.InterfaceName(),
		info.RetaSize(), info.NbRxQueues(), info.MaxRxQueues(), info.NbTxQueues(), info.MaxTxQueues(),
		info.MinMTU(), info.MaxMTU(), info.MaxRxPktLen(), info.MinRxBufSize())
	const want = `net_null "" reta=128 rx=2/1024 tx=3/1024 mtu=46-65535 len=4294967295 buf=0`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTapIsTheKernelInterface(t *testing.T) {
	pid := needTap(t)
	if !ealtest.InChild(t) { // Close is for ever
		return
	}
	mp := newPool(t, 255)
	start(t, pid, mp)
	var addr ethdev.MACAddr
	if err := pid.MACAddrGet(&addr); err != nil || addr.String() != tapMAC {
		t.Errorf("MAC address %v, %v; want %s", &addr, err, tapMAC)
	}
	var info ethdev.DevInfo
	if err := pid.InfoGet(&info); err != nil || info.InterfaceName() != tapInterface {
		t.Errorf("interface %q, %v; want %q", info.InterfaceName(), err, tapInterface)
	}
	checkMTU(t, pid)
	checkPromiscuous(t, pid)
	pid.Stop()
	pid.Close()
	if _, err := net.InterfaceByName(tapInterface); err == nil || pid.IsValid() {
		t.Errorf("after Close the port is valid: %v, and looking for its interface gives %v", pid.IsValid(), err)
	}
}

func checkMTU(t *testing.T, pid ethdev.Port) {
	if err := pid.SetMTU(1400); err != nil {
		t.Error(err)
	}
	if mtu, err := pid.GetMTU(); mtu != 1400 || err != nil {
		t.Errorf("MTU = %d, %v; want 1400", mtu, err)
	}
	ifi, err := net.InterfaceByName(tapInterface)
	if err != nil || ifi.MTU != 1400 || ifi.HardwareAddr.String() != tapMAC {
		t.Errorf("the kernel has %+v, %v; want MTU 1400 and %s", ifi, err, tapMAC)
	}
}

func checkPromiscuous(t *testing.T, pid ethdev.Port) {
	for _, step := range []struct {
		set  func() error
		want bool
	}{{pid.PromiscEnable, true}, {pid.PromiscDisable, false}} {
		if err := step.set(); err != nil {
			t.Error(err)
		}
		if got := interfaceFlags(t, tapInterface)&syscall.IFF_PROMISC != 0; got != step.want {
			t.Errorf("promiscuous = %v, want %v", got, step.want)
		}
	}
}

func interfaceFlags(t *testing.T, name string) (flags int) {
	t.Helper()
	text, err := os.ReadFile("/sys/class/net/" + name + "/flags")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "0x%x", &flags); err != nil {
		t.Fatal(err)
	}
	return flags
}

func TestLinkFollowsStartAndStop(t *testing.T) {
	pid := port(t, null)
	check := func(up bool) {
		t.Helper()
		for _, get := range []func() (ethdev.EthLink, error){pid.EthLinkGet, pid.EthLinkGetNowait} {
			link, err := get()
			if err != nil || link.Status() != up || link.Speed() != 10000 || !link.Duplex() || link.AutoNeg() {
				t.Errorf("up %v, speed %d, full duplex %v, negotiated %v, error %v; want up %v at 10000, full",
					link.Status(), link.Speed(), link.Duplex(), link.AutoNeg(), err, up)
			}
		}
	}
	start(t, pid, newPool(t, 63))
	check(true)
	pid.Stop()
	check(false)
}

package port

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yerden/go-dpdk/eal"

	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/sched"
)

var cpus *CPUs

// EAL starts once in a process; its vdevs hand every frame sent back as one received.
func TestMain(m *testing.M) {
	var err error
	if cpus, err = Reserve([]int{1}); err == nil {
		err = StartEAL(EALConfig{MainLcore: 0, Lcores: []int{1}, MemoryMB: 128, Devices: []string{"net_ring0", "net_ring1", "net_ring2", "net_null0", "net_null1"}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := StopEAL(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func ringConfig(device string) Config {
	return Config{Name: "lan", Device: device, MTU: 1500, Lcores: []int{1}, RxDescriptors: 256, TxDescriptors: 256, Adaptive: true, MemoryMB: 128}
}

// line is a worker on lcore 1 behind a port that hands back what it sends.
type line struct {
	port   *Port
	worker *lcore.Worker
	inject *lcore.Ring
	punts  *lcore.Ring
	ended  <-chan error
}

func startLine(t *testing.T, device string) *line {
	t.Helper()
	l := &line{}
	var err error
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l.port, err = Open(ringConfig(device))
	must(err)
	l.inject, err = lcore.NewRing(64)
	must(err)
	l.punts, err = lcore.NewRing(64)
	must(err)
	burst, err := lcore.NewBurst()
	must(err)
	queue := l.port.Queue(l.inject)
	must(l.port.Start())
	made := make(chan error, 1)
	l.ended = eal.ExecOnLcoreAsync(1, nil, func(*eal.LcoreCtx) {
		w, err := lcore.New(lcore.Config{Queue: queue, Punt: l.punts, Burst: burst, TSCHz: TSCHz(), Flows: 1024})
		l.worker = w
		made <- err
		if err == nil {
			w.Run()
		}
	})
	must(<-made)
	return l
}

func (l *line) stop(t *testing.T) {
	t.Helper()
	l.worker.Stop()
	select {
	case err := <-l.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Second):
		t.Fatal("the lcore did not leave its loop within a second")
	}
}

func (l *line) publish(t *testing.T) {
	t.Helper()
	scheduler, err := sched.Lookup("rr")
	if err != nil {
		t.Fatal(err)
	}
	servers := []sched.Server{{ID: "a", Weight: 1, Usable: true, Share: sched.FullShare}}
	plan, err := scheduler.Plan(servers, sched.Options{})
	if err != nil {
		t.Fatal(err)
	}
	holder := new(atomic.Pointer[sched.Table])
	holder.Store(plan.Table(servers, 0))
	l.worker.Publish(lcore.Compile(&lcore.Spec{Epoch: 7, PortMAC: l.port.MAC(), Services: []lcore.ServiceSpec{{
		VIP: 0x0a000001, Protocol: frame.ProtocolUDP, Port: 53, Table: holder, Timeouts: lcore.Timeouts{0, 0, 0, 0, 0, 0, 1600},
		Reals: []lcore.RealSpec{{MAC: frame.MAC{2, 0, 0, 0, 0, 9}, State: lcore.RealUp}},
	}}}))
	waitFor(t, "the lcore looks at the new snapshot", func() bool { return l.worker.ReadCounters().Epoch == 7 })
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("not within two seconds: %s", what)
}

// datagram is a UDP frame to the service of publish.
func (l *line) datagram() []byte {
	mac := l.port.MAC()
	f := make([]byte, frame.EthernetMin)
	copy(f, mac[:])
	copy(f[6:], []byte{2, 0, 0, 0, 0, 8, 8, 0, 0x45, 0, 0, 46})
	f[23] = frame.ProtocolUDP
	copy(f[26:], []byte{10, 0, 0, 8, 10, 0, 0, 1, 0x30, 0x39, 0, 53, 0, 26})
	return f
}

func TestFramesGoThroughARealPort(t *testing.T) {
	l := startLine(t, "net_ring0")
	l.publish(t)
	if !l.inject.Put(uint8(lcore.InjectKernel), l.datagram()) {
		t.Fatal("the inject ring is full")
	}
	// Injected, it comes back and is forwarded; forwarded, it comes back with another host's MAC.
	waitFor(t, "the frame came back twice", func() bool { return l.worker.ReadCounters().RxPackets == 2 })
	l.stop(t)
	c, p := l.worker.ReadCounters(), l.worker.ReadPort()
	if p.Injected != 1 || p.TxPackets != 2 || p.TxDropped != 0 || p.TxBytes != 120 || c.RxBytes != 120 {
		t.Errorf("injected %d, sent %d frames of %d bytes, received %d bytes; want 1, 2, 120, 120", p.Injected, p.TxPackets, p.TxBytes, c.RxBytes)
	}
	if c.Drops[lcore.ReasonLoop] != 1 {
		t.Errorf("drops %v; want one loop: the forwarded frame came from our own MAC", c.Drops)
	}
	if n := l.port.MbufsInUse(); n != 0 {
		t.Errorf("%d mbufs are not back in the pool", n)
	}
	l.port.Close()
	if err := l.worker.Close(); err != nil {
		t.Error(err)
	}
}

func TestStopIsQuickWhileIdle(t *testing.T) {
	l := startLine(t, "net_null0")
	l.stop(t)
	l.port.Close()
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no such device", func(c *Config) { c.Device = "net_ring9" }, "DPDK has no driver for this device"},
		{"too many queues", func(c *Config) { c.Lcores = make([]int, 100) }, "the device has 16 queues, and dpdk.lcores lists 100 lcores"},
		{"too little memory", func(c *Config) { c.Device, c.MemoryMB = "net_ring2", 17 }, "raise dpdk.memory_mb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := ringConfig("net_ring1")
			c.change(&config)
			p, err := Open(config)
			if err == nil {
				p.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q does not say %q", err, c.want)
			}
		})
	}
}

func TestThreadsStayOffTheLcores(t *testing.T) {
	if err := eal.ExecOnLcore(1, func(*eal.LcoreCtx) { cpus.Claim(0) }); err != nil {
		t.Fatal(err)
	}
	moved, err := cpus.Sweep()
	if err != nil {
		t.Fatal(err)
	}
	if moved > 0 {
		t.Logf("%d threads had to be moved", moved)
	}
	if moved, err = cpus.Sweep(); moved != 0 || err != nil {
		t.Errorf("a second sweep moved %d threads (%v), want 0", moved, err)
	}
}

func TestCheckHugepages(t *testing.T) {
	root := t.TempDir()
	write := func(size, free string) {
		dir := root + "/hugepages-" + size
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/free_hugepages", []byte(free), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("2048kB", "100\n")
	if err := checkHugepages(root, 201); err == nil || !strings.Contains(err.Error(), "200 MB of hugepages are free") {
		t.Errorf("201 MB of 200: %v", err)
	}
	write("1048576kB", "1\n")
	if err := checkHugepages(root, 1224); err != nil {
		t.Errorf("1224 MB of 1224: %v", err)
	}
}

func TestCheckTUN(t *testing.T) {
	path := t.TempDir() + "/tun"
	want := "device net_tap0 needs " + path + ": load the module (modprobe tun), or give the device to the container (--device " + path + ")"
	if err := checkTUN(path, "net_tap0,iface=dp0"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkTUN(path, "net_tap0"); err != nil {
		t.Error(err)
	}
}

func TestCheckPCI(t *testing.T) {
	root := t.TempDir()
	if err := checkPCI(root, "0000:03:00.0"); err == nil || !strings.Contains(err.Error(), "not on this machine") {
		t.Errorf("absent: %v", err)
	}
	if err := os.MkdirAll(root+"/0000:03:00.0", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../drivers/e1000e", root+"/0000:03:00.0/driver"); err != nil {
		t.Fatal(err)
	}
	if err := checkPCI(root, "0000:03:00.0"); err == nil || !strings.Contains(err.Error(), "bound to the driver e1000e") {
		t.Errorf("kernel driver: %v", err)
	}
}

func TestUnknownSpeedIsZero(t *testing.T) {
	for given, want := range map[uint32]uint32{0: 0, 10000: 10000, 1<<32 - 1: 0} {
		if got := knownSpeed(given); got != want {
			t.Errorf("a link of %d Mbit/s is told as %d, want %d", given, got, want)
		}
	}
}

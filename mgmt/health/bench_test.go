package health_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"turnout/mgmt/health"
	"turnout/mgmt/store"
)

// stubMarker makes the test binary a stub server, see TestMain.
const stubMarker = "TURNOUT_TEST_STUB_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(stubMarker) != "" {
		stub()
	}
	os.Exit(m.Run())
}

// stub answers HTTP on inherited file 3, on every loopback address, with as little work as possible, until it is killed.
func stub() {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		panic(err)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			continue // the peer was faster with its reset
		}
		go func() {
			defer conn.Close()
			if _, err := conn.Read(make([]byte, 512)); err == nil {
				conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
			}
		}()
	}
}

// startStub returns the L4 port of a stub server in a process of its own, so that its CPU time is not counted as ours.
func startStub(b *testing.B) uint16 {
	b.Helper()
	l, err := net.ListenTCP("tcp4", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	file, err := l.File()
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), stubMarker+"=1")
	cmd.ExtraFiles = []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// BenchmarkTenThousand checks 10 000 real servers every 2 s for 8 s, whatever b.N, and fails if any is not up or if checks
// fall behind. Metrics: checks per second, and this process's CPU time in percent of one CPU.
func BenchmarkTenThousand(b *testing.B) {
	for _, kind := range []store.CheckType{store.CheckTCP, store.CheckHTTP} {
		b.Run(string(kind), func(b *testing.B) { tenThousand(b, kind) })
	}
}

func tenThousand(b *testing.B, kind store.CheckType) {
	const n, lasts, interval = 10_000, 8 * time.Second, 2 * time.Second
	check := store.HealthCheck{
		Type: kind, Port: startStub(b),
		Interval: store.Duration(interval), Timeout: store.Duration(time.Second), Rise: 2, Fall: 3,
	}
	var targets []health.Target
	for i := range n {
		address := netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)})
		key := health.Key{Service: fmt.Sprint("service-", i%100), RealServer: address}
		targets = append(targets, health.Target{Key: key, Checks: checks(check)})
	}
	m := health.New(health.Config{Source: source, Log: zap.NewNop(), Report: func(health.Change) {}})
	before, start := cpuTime(b), time.Now()
	m.Set(targets)
	go m.Run(b.Context())
	time.Sleep(lasts)
	used, took := cpuTime(b)-before, time.Since(start)
	m.Close()

	var passed, failed uint64
	var up int
	for _, s := range m.All() {
		if s.Up {
			up++
		}
		passed, failed = passed+s.Passed, failed+s.Failed
	}
	if up < n || failed > 0 {
		b.Errorf("%d of %d real servers up; %d checks passed, %d failed", up, n, passed, failed)
	}
	if least := uint64(n * (lasts/interval - 1)); passed < least {
		b.Errorf("%d checks in %v, want at least %d", passed, lasts, least)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(passed)/took.Seconds(), "checks/s")
	b.ReportMetric(100*used.Seconds()/took.Seconds(), "%CPU")
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

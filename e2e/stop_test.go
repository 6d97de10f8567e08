package e2e

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"turnout/mgmt/api"
)

func TestStopIsQuickAndLeavesNothing(t *testing.T) {
	const limit = 2 * time.Second
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			d := startDirector(t, settings{services: web})
			d.waitServers("web", "up", 3)
			load := d.segment.startLoad(t, 2, 5*time.Millisecond, webURL)
			time.Sleep(200 * time.Millisecond)
			wantNoFailure(t, load.stop())
			d.check()
			took := d.stop(signal)
			t.Logf("stopped after %v", took)
			if took > limit {
				t.Errorf("stopped after %v, want at most %v", took, limit)
			}
			if code := d.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			d.wantNothingLeft()
		})
	}
}

// wantNothingLeft wants no interface, socket or run-time file of a turnout that has ended.
func (d *director) wantNothingLeft() {
	d.t.Helper()
	if _, err := os.Lstat(d.socket()); err == nil {
		d.t.Errorf("the socket %s is left", d.socket())
	}
	// EAL's folder is shared by all that use DPDK, and stays.
	err := filepath.WalkDir(d.file("eal"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			d.t.Errorf("DPDK's run-time file %s is left", path)
		}
		return err
	})
	if err != nil {
		d.t.Error(err)
	}
	for _, h := range []*host{d.host, d.segment.lan} {
		for _, name := range []string{"dip0", d.port} {
			if h.has(name) {
				d.t.Errorf("the interface %s is left on %s", name, h.name)
			}
		}
	}
}

// has tells whether the host has an interface that was not made by the test.
func (h *host) has(name string) bool {
	found := false
	_ = h.do(func() error {
		link, err := netlink.LinkByName(name)
		found = err == nil && link.Type() == "tuntap"
		return nil
	})
	return found
}

func TestStartRightAfterKill(t *testing.T) {
	d := startDirector(t, settings{services: web, role: "standby"})
	d.setRole(api.RoleActive) // which outlives the kill
	d.waitServers("web", "up", 3)
	d.stop(syscall.SIGKILL)
	if _, err := os.Lstat(d.socket()); err != nil {
		t.Fatalf("a killed turnout should leave its socket, or this test proves nothing: %v", err)
	}
	d.run()
	d.plug()
	d.waitReady()
	d.waitServers("web", "up", 3)
	load := d.segment.startLoad(t, 2, time.Millisecond, webURL)
	time.Sleep(200 * time.Millisecond)
	wantNoFailure(t, load.stop())
}

func TestIdleCostsLittle(t *testing.T) {
	const limit = 0.10 // of a core
	d := startDirector(t, settings{services: unchecked})
	time.Sleep(time.Second)
	// Whatever else runs on the machine can only add to a window.
	var shares []float64
	for range 5 {
		before, start := cpuTime(t, d.cmd.Process.Pid), time.Now()
		time.Sleep(time.Second)
		share := float64(cpuTime(t, d.cmd.Process.Pid)-before) / float64(time.Since(start))
		if shares = append(shares, share); share < limit {
			break
		}
	}
	t.Logf("idle, turnout takes %.3f of a core", shares)
	if slices.Min(shares) >= limit {
		t.Errorf("idle, turnout takes %.3f of a core at best, want less than %.2f", slices.Min(shares), limit)
	}
}

// cpuTime is what a process has used so far, in user and kernel mode, to 10 ms.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before may hold spaces
	fields := strings.Fields(rest)
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime of proc(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

func TestFirstPacketAfterIdleIsQuick(t *testing.T) {
	const limit = 2 * time.Millisecond
	s := needSegment(t)
	rs1 := s.servers[0]
	rs1.serveUDP(t, "192.168.57.100:53")
	rs1.serveUDP(t, "192.168.57.121:53")
	startDirector(t, settings{services: `services: [{name: dns, vip: 192.168.57.100, protocol: udp, port: 53, health_check: {type: none}, real_servers: [{address: 192.168.57.121}]}]`})
	var extra []time.Duration
	for range 4 {
		through, direct := medianRoundTrip(t, s.client, "192.168.57.100:53"), medianRoundTrip(t, s.client, "192.168.57.121:53")
		if extra = append(extra, through-direct); through-direct < limit {
			break
		}
	}
	t.Logf("after 300 ms of silence a packet takes %v longer than without a director (medians of 7)", extra)
	if slices.Min(extra) >= limit {
		t.Errorf("after 300 ms of silence a packet takes %v longer at best, want less than %v", slices.Min(extra), limit)
	}
}

// medianRoundTrip asks by UDP after pauses in which all has gone to sleep.
func medianRoundTrip(t *testing.T, client *host, address string) time.Duration {
	t.Helper()
	c, err := client.dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var took []time.Duration
	for range 7 {
		time.Sleep(300 * time.Millisecond)
		took = append(took, roundTrip(t, c))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

func roundTrip(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	if err := c.SetDeadline(start.Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

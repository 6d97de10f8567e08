package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// needNetwork skips a test where no network namespace can be made.
func needNetwork(t *testing.T) {
	t.Helper()
	missing := ""
	if os.Geteuid() != 0 {
		missing = "needs root: a network namespace (CAP_SYS_ADMIN)"
	} else if _, err := os.Stat("/dev/net/tun"); err != nil {
		missing = "needs /dev/net/tun (modprobe tun)"
	}
	if missing == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

// writeConfig writes turnout.yaml and services.yaml of a director on a virtual port, and returns the former's path.
func writeConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`
dpdk: {main_lcore: 0, lcores: [1], hugepages: false, memory_mb: 64}
ports:
  - {name: lan, device: "net_tap0,iface=dp0,mac=02:00:00:00:01:20", address: 192.168.57.120/24, kernel_interface: dip0, rx_descriptors: 512, tx_descriptors: 512}
flow_table: {entries: 65536}
maglev_key_file: %[1]s/maglev.key
mgmt: {listen: ["unix:%[1]s/turnout.sock"], socket_group: root}
`, dir)
	for name, text := range map[string]string{"turnout.yaml": config, "services.yaml": servicesYAML} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "turnout.yaml")
}

func TestCheck(t *testing.T) {
	file := writeConfig(t)
	if out, err := turnout("check", "-c", file); err != nil || !strings.HasSuffix(out, "no mistakes\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUnderASupervisor runs turnout with what its unit leaves it, and listens to what it tells systemd.
func TestUnderASupervisor(t *testing.T) {
	needNetwork(t)
	m := newServiceManager(t)
	cmd := turnoutProcess(t, "run", "-c", writeConfig(t))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	confine(t, cmd)
	cmd.Env = append(cmd.Env, "WATCHDOG_USEC=1000000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, unless the test failed
		if t.Failed() {
			t.Logf("it logs:\n%s", tail(log.String()))
		}
	})

	if ready := m.wait("READY=1"); !strings.HasPrefix(ready[len(ready)-1], "STATUS=active, generation 1") {
		t.Errorf("ready: %q", ready)
	}
	m.wait("WATCHDOG=1")

	signalTo(t, cmd, syscall.SIGHUP)
	reloading := m.wait("RELOADING=1")
	if !slices.ContainsFunc(reloading, regexp.MustCompile(`^MONOTONIC_USEC=[1-9]\d*$`).MatchString) {
		t.Errorf("reloading: %q", reloading)
	}
	m.wait("READY=1")

	whileHung(t, lcoreThread(t, cmd.Process.Pid), func() {
		m.wait("STATUS=lcore 1 does not poll")
		for until := time.After(1200 * time.Millisecond); ; {
			select {
			case lines := <-m.messages:
				if slices.Contains(lines, "WATCHDOG=1") {
					t.Error("a sign of life while the lcore hangs")
				}
				continue
			case <-until:
			}
			break
		}
	})
	m.wait("WATCHDOG=1")

	signalTo(t, cmd, syscall.SIGTERM)
	m.wait("STOPPING=1")
	if err := <-ended; err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// confine puts a program into a network namespace of its own, with no more capabilities than the unit leaves it. The
// port's device is an interface beside the DIP's there, which must not answer for it.
func confine(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	for _, tool := range []string{"unshare", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(err) // util-linux is essential in Debian
		}
	}
	script := `echo 1 > /proc/sys/net/ipv4/conf/default/arp_ignore && exec setpriv --no-new-privs --bounding-set "$0" "$@"`
	args := []string{"unshare", "--net", "sh", "-c", script, boundingSet(t), cmd.Path}
	path, _ := exec.LookPath("unshare")
	cmd.Path, cmd.Args = path, append(args, cmd.Args[1:]...)
}

func signalTo(t *testing.T, cmd *exec.Cmd, s os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// lcoreThread finds the thread that polls: the one that may run on CPU 1 only.
func lcoreThread(t *testing.T, pid int) int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil || !regexp.MustCompile(`(?m)^Cpus_allowed_list:\t1$`).Match(status) {
			continue
		}
		tid, err := strconv.Atoi(filepath.Base(filepath.Dir(task)))
		if err != nil {
			t.Fatal(err)
		}
		return tid
	}
	t.Fatal("no thread has CPU 1 for itself")
	return 0
}

// whileHung stops one thread of another process, as a driver that hangs would.
func whileHung(t *testing.T, tid int, do func()) {
	t.Helper()
	runtime.LockOSThread() // only the thread that seized another may let it go
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(tid); err != nil {
		t.Fatal(err)
	}
	if err := unix.PtraceInterrupt(tid); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(tid, &status, unix.WALL, nil); err != nil || !status.Stopped() {
		t.Fatalf("the thread is not stopped: %v, %v", status, err)
	}
	do()
	if err := unix.PtraceDetach(tid); err != nil {
		t.Fatal(err)
	}
}

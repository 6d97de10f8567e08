// Package netlab gives tests network namespaces of their own. They have no names, so that nothing is left behind even
// by a test that was killed.
package netlab

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// inside marks the process that Main started in a namespace.
const inside = "TURNOUT_TEST_NAMESPACE"

// Main runs a package's tests in a new network namespace in which only lo exists, and is up. To be called from
// TestMain. Without the privilege to make one the tests run where they are, and Require skips.
func Main(m *testing.M) {
	if os.Getenv(inside) != "" {
		up("lo")
		os.Exit(m.Run())
	}
	again := exec.Command(os.Args[0], os.Args[1:]...)
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.Env = append(os.Environ(), inside+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	err := again.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(max(exit.ExitCode(), 1))
	case err != nil:
		os.Exit(m.Run())
	}
}

// Require skips a test that needs a namespace where none could be made; in CI it fails.
func Require(t *testing.T) {
	t.Helper()
	switch {
	case os.Getenv(inside) != "":
	case os.Getenv("CI") == "true":
		t.Fatal("network namespaces cannot be made here (CAP_SYS_ADMIN)")
	default:
		t.Skip("needs network namespaces (CAP_SYS_ADMIN)")
	}
}

func up(name string) {
	if link, err := netlink.LinkByName(name); err == nil {
		_ = netlink.LinkSetUp(link) // a test that needs it will see
	}
}

// Host is a network namespace with one interface, eth0, whose other end is in the test's namespace.
type Host struct {
	t  *testing.T
	ns netns.NsHandle
}

// NewHost makes a host whose eth0 has an address ("192.0.2.1/24", or none), joined to an interface iface in the test's
// namespace, which has none. All goes with the test.
func NewHost(t *testing.T, iface, address string) *Host {
	t.Helper()
	Require(t)
	h := &Host{t: t}
	in(func() { h.ns, _ = netns.New() })
	if !h.ns.IsOpen() {
		t.Fatal("no new network namespace")
	}
	t.Cleanup(func() { h.ns.Close() })
	Run(t, "ip", "link", "add", iface, "type", "veth", "peer", "name", iface+"-peer")
	t.Cleanup(func() {
		if link, err := netlink.LinkByName(iface); err == nil {
			_ = netlink.LinkDel(link)
		}
	})
	peer, err := netlink.LinkByName(iface + "-peer")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetNsFd(peer, int(h.ns)); err != nil {
		t.Fatal(err)
	}
	h.Run("ip", "link", "set", iface+"-peer", "name", "eth0", "up")
	if address != "" {
		h.Run("ip", "addr", "add", address, "dev", "eth0")
	}
	return h
}

// Run runs a command in the host's namespace; the test fails with it. The answer is what it wrote.
func (h *Host) Run(command ...string) (output string) {
	h.t.Helper()
	in(func() {
		if err := netns.Set(h.ns); err != nil {
			h.t.Error(err)
			return
		}
		output = Run(h.t, command...)
	})
	return output
}

// Run runs a command in the namespace of the calling thread; the test fails with it. The answer is what it wrote.
func Run(t *testing.T, command ...string) (output string) {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// in calls f on a thread of its own, which ends with it: f may leave it in any namespace.
func in(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		f()
	}()
	<-done
}

package health_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/zap"

	"turnout/mgmt/health"
	"turnout/mgmt/store"
)

// In the namespaces of these tests dip0 is the director's kernel_interface, and rs0 is a real server's NIC at the other
// end of the wire, in a namespace of its own.
var (
	dip      = netip.MustParseAddr("192.168.57.120")
	otherDIP = netip.MustParseAddr("192.168.57.119") // what the kernel would choose as source
	rs       = netip.MustParseAddr("192.168.57.121")
)

// inNamespace runs the rest of the calling test in a process of its own in a new network namespace, and tells whether
// this is that process. Sockets are opened by threads that the test cannot choose, so all threads must be inside.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const marker = "TURNOUT_TEST_IN_NAMESPACE"
	if os.Getenv(marker) == t.Name() {
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), marker+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM) && os.Getenv("CI") == "true":
		t.Fatal("needs CAP_SYS_ADMIN to make network namespaces")
	case errors.Is(err, syscall.EPERM):
		t.Skip("needs CAP_SYS_ADMIN to make network namespaces")
	case err != nil:
		t.Errorf("in the namespace: %v\n%s", err, out)
	}
	return false
}

// wire lays out the two namespaces and returns dip0 and a listener on rs, port 80.
func wire(t *testing.T) (netlink.Link, net.Listener) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	director := must(netns.Get())(t)
	defer director.Close()
	realServer := must(netns.New())(t) // and this thread is in it
	defer realServer.Close()
	t.Cleanup(func() { realServer.Close() })
	check(t, netns.Set(director))

	check(t, netlink.LinkSetUp(must(netlink.LinkByName("lo"))(t))) // brings the kernel's own ICMP errors
	check(t, netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "dip0"}, PeerName: "rs0", PeerNamespace: netlink.NsFd(realServer),
	}))
	dip0 := configure(t, "dip0", otherDIP, dip)
	check(t, netns.Set(realServer))
	configure(t, "rs0", rs)
	ready(t, "rs0")
	l := must(net.Listen("tcp", netip.AddrPortFrom(rs, 80).String()))(t)
	t.Cleanup(func() { l.Close() })
	check(t, netns.Set(director))
	ready(t, "dip0")
	return dip0, l
}

// ready waits until the link carries frames: what is sent before is lost, and ARP repeats itself after a second only.
func ready(t *testing.T, name string) {
	t.Helper()
	waitFor(t, func() bool {
		return must(netlink.LinkByName(name))(t).Attrs().OperState == netlink.OperUp
	})
}

func configure(t *testing.T, name string, addresses ...netip.Addr) netlink.Link {
	t.Helper()
	link := must(netlink.LinkByName(name))(t)
	for _, a := range addresses {
		check(t, netlink.AddrAdd(link, address(a)))
	}
	check(t, netlink.LinkSetUp(link))
	return link
}

func address(a netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(24, 32)}}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func sysctl(t *testing.T, name, value string) {
	t.Helper()
	check(t, os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0o644))
}

func TestDIPInNamespace(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dip0, l := wire(t)
	peers := make(chan string, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			peers <- conn.RemoteAddr().(*net.TCPAddr).IP.String()
			conn.Close()
		}
	}()
	tcp80 := quick(store.CheckTCP, 80)
	if s := first(t, dip, rs, tcp80); !s.Up {
		t.Fatalf("real server in its namespace: %+v", s)
	}
	equal(t, "peer that the real server saw", <-peers, dip.String())

	silent := netip.MustParseAddr("192.168.57.199")
	check(t, netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: dip0.Attrs().Index, IP: silent.AsSlice(), State: netlink.NUD_PERMANENT,
		HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 1, 0x99},
	}))
	equal(t, "no answer", first(t, dip, silent, tcp80).LastError, "timed out after 300ms")

	sysctl(t, "neigh/dip0/retrans_time_ms", "20")
	equal(t, "no MAC", first(t, dip, netip.MustParseAddr("192.168.57.198"), tcp80).LastError,
		"no route to host: it does not answer ARP, or a router refuses")
	equal(t, "other subnet", first(t, dip, netip.MustParseAddr("10.1.1.1"), tcp80).LastError, "no route: is kernel_interface up?")

	check(t, netlink.LinkSetDown(dip0))
	equal(t, "interface down", first(t, dip, rs, tcp80).LastError, "no route: is kernel_interface up?")
	check(t, netlink.LinkSetUp(dip0))
	const absent = "no interface that is up has the address 192.168.57.120: is kernel_interface up, with the DIP on it?"
	check(t, netlink.AddrDel(dip0, address(dip)))
	equal(t, "no DIP", first(t, dip, rs, tcp80).LastError, absent)
	check(t, netlink.LinkDel(dip0))
	equal(t, "no interface", first(t, dip, rs, tcp80).LastError, absent)
}

// Eight local ports are enough for many connections at once, as long as each goes to another real server.
func TestLocalPortsArePerDestination(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	check(t, netlink.LinkSetUp(must(netlink.LinkByName("lo"))(t)))
	sysctl(t, "ip_local_port_range", "40000 40007")
	l := must(net.Listen("tcp", "0.0.0.0:80"))(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(io.Discard, conn)
		}
	}()
	m := health.New(health.Config{Source: source, Log: zap.NewNop(), Report: func(health.Change) {}})
	defer m.Close()
	var targets []health.Target
	for i := range 100 {
		c := quick(store.CheckHTTP, 80)
		c.Interval, c.Timeout = store.Duration(time.Second), store.Duration(time.Second)
		key := health.Key{Service: "web", RealServer: netip.AddrFrom4([4]byte{127, 1, 0, byte(i)})}
		targets = append(targets, health.Target{Key: key, Checks: checks(c)})
	}
	m.Set(targets)
	go m.Run(t.Context())
	var errs []string
	waitFor(t, func() bool {
		errs = errs[:0]
		for k, s := range m.All() {
			if s.Failed > 0 {
				errs = append(errs, fmt.Sprint(k.RealServer, " ", s.LastError))
			}
		}
		return len(errs) == len(targets)
	})
	for _, e := range errs {
		if !strings.HasSuffix(e, " timed out after 1s") {
			t.Error(e)
		}
	}
}

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
)

// host is a network namespace. It has no name, so that nothing is left behind even by a test run that is killed.
type host struct {
	name string
	ns   netns.NsHandle
}

// newHost makes a host in which only lo exists, and is up.
func newHost(name string) (*host, error) {
	h := &host{name: name, ns: netns.None()}
	err := onThread(func() (err error) {
		h.ns, err = netns.New()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("network namespace for %s: %w", name, err)
	}
	if err := h.sysctl("net/ipv6/conf/all/disable_ipv6=1", "net/ipv6/conf/default/disable_ipv6=1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return h, h.ip("link set lo up")
}

func (h *host) close() { h.ns.Close() }

// path is a name of the namespace that commands understand as long as this process lives.
func (h *host) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(h.ns)) }

// onThread calls f on a thread that f may move to another network namespace, and moves it back. A thread that cannot
// be moved back is given up.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		origin, err := netns.Get()
		if err != nil {
			done <- err
			return
		}
		err = f()
		if back := netns.Set(origin); back == nil {
			runtime.UnlockOSThread()
		}
		done <- errors.Join(err, origin.Close())
	}()
	return <-done
}

// do calls f on a thread in the host: the sockets that it opens and the processes that it starts belong there.
func (h *host) do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(h.ns); err != nil {
			return fmt.Errorf("enter %s: %w", h.name, err)
		}
		return f()
	})
}

// start starts a command on the host. It gets SIGTERM should the test run die.
func (h *host) start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	return h.do(cmd.Start)
}

// run runs a command on the host. The error holds what it wrote.
func (h *host) run(name string, args ...string) (string, error) {
	return h.runCommand(exec.Command(name, args...))
}

func (h *host) runCommand(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := h.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return out.String(), fmt.Errorf("%s: %s: %w: %s", h.name, strings.Join(cmd.Args, " "), err, out.String())
	}
	return out.String(), nil
}

// ip runs commands of ip(8), one a line.
func (h *host) ip(lines string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(lines)
	_, err := h.runCommand(cmd)
	return err
}

// sysctl writes settings such as net/ipv4/ip_forward=1.
func (h *host) sysctl(settings ...string) error {
	return h.do(func() error {
		for _, s := range settings {
			key, value, _ := strings.Cut(s, "=")
			if err := os.WriteFile("/proc/sys/"+key, []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// dial opens a connection from the host.
func (h *host) dial(network, address string) (conn net.Conn, err error) {
	return h.dialContext(context.Background(), network, address)
}

// dialTimeout leaves room for SYNs sent anew, after 1 and 3 s: a busy machine may stop for a moment.
const dialTimeout = 8 * time.Second

// dialContext is http.Transport's.
func (h *host) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.dialBy(ctx, new(net.Dialer), network, address)
}

// dialFrom opens a TCP connection from one of the host's addresses.
func (h *host) dialFrom(source netip.Addr, address string) (net.Conn, error) {
	from := net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	return h.dialBy(context.Background(), &net.Dialer{LocalAddr: from}, "tcp", address)
}

func (h *host) dialBy(ctx context.Context, dialer *net.Dialer, network, address string) (conn net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	err = h.do(func() (err error) {
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// dialWithin opens a TCP connection for which less time is left than usual.
func (h *host) dialWithin(limit time.Duration, address string) (net.Conn, error) {
	return h.dialBy(context.Background(), &net.Dialer{Timeout: limit}, "tcp", address)
}

// listen opens a TCP listener on the host.
func (h *host) listen(address string) (l net.Listener, err error) {
	err = h.do(func() (err error) {
		l, err = net.Listen("tcp4", address)
		return err
	})
	return l, err
}

// listenUDP opens a UDP socket on the host.
func (h *host) listenUDP(address string) (c net.PacketConn, err error) {
	err = h.do(func() (err error) {
		c, err = net.ListenPacket("udp4", address)
		return err
	})
	return c, err
}

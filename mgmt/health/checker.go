package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"turnout/mgmt/probe"
	"turnout/mgmt/store"
)

// checkers do one run of a check, by its type. They must end soon after ctx is done.
var checkers = map[store.CheckType]func(*Monitor, context.Context, checkKey) error{
	store.CheckTCP:   (*Monitor).tcp,
	store.CheckHTTP:  (*Monitor).http,
	store.CheckHTTPS: (*Monitor).https,
	store.CheckICMP:  (*Monitor).icmp,
	store.CheckUDP:   (*Monitor).udp,
	store.CheckDNS:   (*Monitor).dns,
	store.CheckExec:  (*Monitor).exec,
}

// once runs the check k, and returns a nil error if it passed, and what was seen if it is a path probe. ctx carries the
// hard deadline.
func (m *Monitor) once(ctx context.Context, k checkKey) (seen probe.Evidence, err error) {
	if k.isPath() {
		seen = m.cfg.Path(ctx, k.path)
		return seen, seen.Err()
	}
	checker := checkers[k.Type]
	if checker == nil {
		return seen, fmt.Errorf("health check type %q is not available in this version", k.Type)
	}
	return seen, checker(m, ctx, k)
}

// tcp passes if the connection is established.
func (m *Monitor) tcp(ctx context.Context, k checkKey) error {
	conn, err := m.dial(ctx, "tcp", k.socket())
	if err != nil {
		return err
	}
	return conn.Close()
}

// open is dial for a talk: what goes on in the connection fails when ctx is done. Close ends both.
func (m *Monitor) open(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := m.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return talk{conn, stop}, nil
}

type talk struct {
	net.Conn
	stop func() bool
}

func (t talk) Close() error {
	t.stop()
	return t.Conn.Close()
}

// socket is the address and port that k connects to.
func (k checkKey) socket() string {
	return netip.AddrPortFrom(k.address, k.Port).String()
}

// dialFrom dials from the address source.
func dialFrom(source netip.Addr) DialFunc {
	from := map[string]net.Addr{
		"tcp": net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0)),
		"udp": net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0)),
		"ip4": &net.IPAddr{IP: source.AsSlice()},
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		kind, _, _ := strings.Cut(network, ":")
		d := net.Dialer{
			LocalAddr:      from[kind],
			KeepAlive:      -1, // connections live for one check
			ControlContext: prepare,
		}
		return d.DialContext(ctx, network, address)
	}
}

// prepare sets a socket up for thousands of short connections a second. The local port is chosen by connect, so that it
// need only be unique per destination; and closing sends RST, so that no port is held by TIME_WAIT. Without connections,
// the kernel tells of an unreachable host only who asks for it.
func prepare(_ context.Context, network, _ string, raw syscall.RawConn) error {
	var err error
	control := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err != nil {
			return
		}
		if strings.HasPrefix(network, "tcp") {
			err = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		} else {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_RECVERR, 1)
		}
	})
	return errors.Join(control, err)
}

package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"turnout/mgmt/store"
)

// What an http check reads at most, in bytes. More header is a failure; more body is not read.
const (
	maxHeader = 64 << 10
	maxBody   = 64 << 10
)

// checkers do one run of a check, by its type. They must end soon after ctx is done.
var checkers = map[store.CheckType]func(*Monitor, context.Context, checkKey) error{
	store.CheckTCP:  (*Monitor).tcp,
	store.CheckHTTP: (*Monitor).http,
}

// once runs the check k and returns nil if it passed. ctx carries the hard deadline.
func (m *Monitor) once(ctx context.Context, k checkKey) error {
	checker := checkers[k.Type]
	if checker == nil {
		return fmt.Errorf("health check type %q is not available in this version", k.Type)
	}
	return checker(m, ctx, k)
}

// tcp passes if the connection is established.
func (m *Monitor) tcp(ctx context.Context, k checkKey) error {
	conn, err := m.dial(ctx, "tcp", k.socket())
	if err != nil {
		return err
	}
	return conn.Close()
}

// http passes on a whole answer of status 200 to 299. It uses net/http's reading and writing but not its Transport, which
// would keep two goroutines per connection and may go on dialling after the deadline.
func (m *Monitor) http(ctx context.Context, k checkKey) error {
	req, err := m.request(ctx, k)
	if err != nil {
		return err
	}
	conn, err := m.dial(ctx, "tcp", k.socket())
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := req.Write(conn); err != nil {
		return err
	}
	return readResponse(conn, req)
}

func (m *Monitor) request(ctx context.Context, k checkKey) (*http.Request, error) {
	path := k.Path
	if path == "" {
		path = "/"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+k.socket()+path, nil)
	if err != nil {
		return nil, err
	}
	if k.Host != "" {
		req.Host = k.Host
	}
	req.Close = true
	req.Header.Set("User-Agent", "turnout-health/"+m.cfg.Version)
	return req, nil
}

// readResponse reads the answer to req, passing over informational ones (RFC 9110 section 15.2), and up to maxBody of its
// body.
func readResponse(conn io.Reader, req *http.Request) error {
	limit := &io.LimitedReader{R: conn, N: maxHeader}
	r := bufio.NewReader(limit)
	resp, err := http.ReadResponse(r, req)
	for err == nil && resp.StatusCode < 200 {
		resp, err = http.ReadResponse(r, req)
	}
	if err != nil && limit.N == 0 {
		return fmt.Errorf("header of more than %d bytes", maxHeader)
	}
	if err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("status %d, want 200 to 299", resp.StatusCode)
	}
	limit.N = math.MaxInt64
	_, err = io.CopyN(io.Discard, resp.Body, maxBody)
	if err == io.EOF {
		return nil
	}
	return err
}

// socket is the address and port that k connects to.
func (k checkKey) socket() string {
	return netip.AddrPortFrom(k.address, k.Port).String()
}

// dialFrom dials from the address source.
func dialFrom(source netip.Addr) DialFunc {
	d := net.Dialer{
		LocalAddr:      net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0)),
		KeepAlive:      -1, // connections live for one check
		ControlContext: prepare,
	}
	return d.DialContext
}

// prepare sets a socket up for thousands of short connections a second. The local port is chosen by connect, so that it
// need only be unique per destination; and closing sends RST, so that no port is held by TIME_WAIT.
func prepare(_ context.Context, _, _ string, raw syscall.RawConn) error {
	var err error
	control := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err == nil {
			err = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		}
	})
	if control != nil {
		return control
	}
	return err
}

package health_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"turnout/mgmt/health"
	"turnout/mgmt/store"
)

// source is the DIP of the tests over loopback, and server the real server.
var (
	source = netip.MustParseAddr("127.0.0.9")
	server = netip.MustParseAddr("127.0.0.21")
)

// quick is a check for servers on this machine.
func quick(kind store.CheckType, port uint16) store.HealthCheck {
	return store.HealthCheck{
		Type: kind, Port: port,
		Interval: store.Duration(50 * time.Millisecond), Timeout: store.Duration(300 * time.Millisecond), Rise: 1, Fall: 1,
	}
}

// listen opens a TCP port on server.
func listen(t *testing.T) (*net.TCPListener, uint16) {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(server, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, uint16(l.Addr().(*net.TCPAddr).Port)
}

// serve answers every connection with f and returns the port.
func serve(t *testing.T, f func(net.Conn)) uint16 {
	t.Helper()
	l, port := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				f(conn)
			}()
		}
	}()
	return port
}

// answer reads the request and sends text.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, text)
		}
	}
}

// serveHTTP answers with h and returns the port.
func serveHTTP(t *testing.T, h http.HandlerFunc) uint16 {
	t.Helper()
	l, port := listen(t)
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return port
}

// blackhole is a port that answers no SYN: its backlog is full.
func blackhole(t *testing.T) uint16 {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: server.As4()}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(name.(*unix.SockaddrInet4).Port)
	for range 8 {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(server, port).String(), 100*time.Millisecond)
		if err != nil {
			return port
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("a listener with backlog 0 took 8 connections")
	return 0
}

// first runs check c of address from source until it has a result.
func first(t *testing.T, source, address netip.Addr, c store.HealthCheck) health.Status {
	t.Helper()
	return firstOf(t, address, c, health.Config{Source: source, Version: "1.2.3"})
}

// firstOf is first by a Monitor of this configuration.
func firstOf(t *testing.T, address netip.Addr, c store.HealthCheck, cfg health.Config) health.Status {
	t.Helper()
	cfg.Log, cfg.Report = zap.NewNop(), func(health.Change) {}
	m := health.New(cfg)
	defer m.Close()
	web := health.Target{Key: health.Key{Service: "web", RealServer: address}, Checks: checks(c)}
	m.Set([]health.Target{web})
	go m.Run(t.Context())
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if s := m.State(web.Key); s.Passed+s.Failed > 0 {
			return s
		}
	}
	t.Fatal("no result within 5 s")
	return health.Status{}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestCheckers(t *testing.T) {
	refused := func(t *testing.T) uint16 {
		l, port := listen(t)
		l.Close()
		return port
	}
	silent := func(t *testing.T) uint16 {
		return serve(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	}
	handler := func(h http.HandlerFunc) func(*testing.T) uint16 {
		return func(t *testing.T) uint16 { return serveHTTP(t, h) }
	}
	bytesOf := func(text string) func(*testing.T) uint16 {
		return func(t *testing.T) uint16 { return serve(t, answer(text)) }
	}
	for _, tt := range []struct {
		name   string
		kind   store.CheckType
		server func(*testing.T) uint16
		want   string // the error, empty for a pass
	}{
		{"accepts", store.CheckTCP, silent, ""},
		{"refuses", store.CheckTCP, refused, "connection refused"},
		{"drops SYNs", store.CheckTCP, blackhole, "timed out after 300ms"},
		{"of no known type", "smoke", refused, `health check type "smoke" is not available in this version`},

		{"200", store.CheckHTTP, handler(status(200)), ""},
		{"204", store.CheckHTTP, handler(status(204)), ""},
		{"299", store.CheckHTTP, handler(status(299)), ""},
		{"300", store.CheckHTTP, handler(status(300)), "status 300, want 200-299"},
		{"404", store.CheckHTTP, handler(status(404)), "status 404, want 200-299"},
		{"500", store.CheckHTTP, handler(status(500)), "status 500, want 200-299"},
		{"early hints, then 200", store.CheckHTTP, bytesOf("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), ""},
		{"early hints, then 503", store.CheckHTTP, bytesOf("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\n\r\n"), "status 503, want 200-299"},
		{"HTTP/1.0", store.CheckHTTP, bytesOf("HTTP/1.0 200 OK\r\n\r\nhello"), ""},
		{"refuses http", store.CheckHTTP, refused, "connection refused"},
		{"drops SYNs of http", store.CheckHTTP, blackhole, "timed out after 300ms"},
		{"accepts and says nothing", store.CheckHTTP, silent, "timed out after 300ms"},
		{"answers too late", store.CheckHTTP, handler(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(time.Second):
			}
		}), "timed out after 300ms"},
		{"drips a body for ever", store.CheckHTTP, serveDrip, "timed out after 300ms"},
		{"much body that does not end", store.CheckHTTP, handler(func(w http.ResponseWriter, r *http.Request) {
			w.Write(bytes.Repeat([]byte("x"), 200<<10))
			<-r.Context().Done()
		}), ""},
		{"body cut short", store.CheckHTTP, bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"), "connection closed before the end of the answer"},
		{"closes at once", store.CheckHTTP, bytesOf(""), "connection closed before the end of the answer"},
		{"header only begun", store.CheckHTTP, bytesOf("HTTP/1.1 200 OK\r\nServer: "), "connection closed before the end of the answer"},
		{"endless header", store.CheckHTTP, bytesOf("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Filler: y\r\n", 10000)), "header of more than 65536 bytes"},
		{"speaks SMTP", store.CheckHTTP, bytesOf("220 mail ESMTP\r\n"), `malformed HTTP status code "mail"`},
		{"garbage", store.CheckHTTP, bytesOf(strings.Repeat("\x00", 500) + "\n"), `malformed HTTP response "` + strings.Repeat(`\x00`, 33) + `\x0`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := first(t, source, server, quick(tt.kind, tt.server(t)))
			if s.Up != (tt.want == "") || s.LastError != tt.want {
				t.Errorf("up %v, error %q, want %q", s.Up, s.LastError, tt.want)
			}
			if s.Latency <= 0 || s.Latency > 900*time.Millisecond {
				t.Errorf("latency %v", s.Latency)
			}
		})
	}
}

// serveDrip sends a byte of body every 10 ms.
func serveDrip(t *testing.T) uint16 {
	return serve(t, func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
		for {
			if _, err := conn.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func TestHTTPRequest(t *testing.T) {
	for _, tt := range []struct{ host, path, wantHost, wantURI string }{
		{"", "", "127.0.0.21:PORT", "/"},
		{"www.example.org", "/healthz?deep=1", "www.example.org", "/healthz?deep=1"},
	} {
		t.Run(tt.wantURI, func(t *testing.T) {
			var got atomic.Value
			port := serveHTTP(t, func(_ http.ResponseWriter, r *http.Request) {
				got.Store(strings.Join([]string{r.Method, r.Host, r.RequestURI, r.Proto, r.UserAgent(), fmt.Sprint(r.Close)}, " "))
			})
			c := quick(store.CheckHTTP, port)
			c.Host, c.Path = tt.host, tt.path
			if s := first(t, source, server, c); !s.Up {
				t.Fatal(s.LastError)
			}
			host := strings.Replace(tt.wantHost, "PORT", fmt.Sprint(port), 1)
			equal(t, "request", got.Load().(string), "GET "+host+" "+tt.wantURI+" HTTP/1.1 turnout-health/1.2.3 true")
		})
	}
}

// The connection comes from the DIP, and ends by RST: neither end keeps it in TIME_WAIT.
func TestSourceAddressAndReset(t *testing.T) {
	type seen struct {
		from netip.Addr
		end  error
	}
	connections := make(chan seen, 100)
	port := serve(t, func(conn net.Conn) {
		_, err := io.Copy(io.Discard, conn)
		connections <- seen{conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(), err}
	})
	if s := first(t, source, server, quick(store.CheckTCP, port)); !s.Up {
		t.Fatal(s.LastError)
	}
	got := <-connections
	equal(t, "peer", got.from.String(), source.String())
	if !errors.Is(got.end, syscall.ECONNRESET) {
		t.Errorf("the connection ended by %v, want a reset", got.end)
	}
}

func TestCloseDuringHTTP(t *testing.T) {
	arrived := make(chan struct{}, 1)
	port := serve(t, func(conn net.Conn) {
		arrived <- struct{}{}
		io.Copy(io.Discard, conn)
	})
	patient := quick(store.CheckHTTP, port)
	patient.Timeout = store.Duration(time.Minute)
	m := newMonitor(t, nil)
	m.Set([]health.Target{{Key: health.Key{Service: "web", RealServer: server}, Checks: checks(patient)}})
	go m.Run(t.Context())
	<-arrived
	start := time.Now()
	m.Close()
	if took := time.Since(start); took > time.Second {
		t.Errorf("Close waited %v for a check", took)
	}
}

func TestExplain(t *testing.T) {
	dialError := func(call string, errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError(call, errno)}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{dialError("bind", syscall.EADDRNOTAVAIL), "no interface that is up has the address 127.0.0.9: is kernel_interface up, with the DIP on it?"},
		{dialError("connect", syscall.EADDRNOTAVAIL), "no local port left: widen net.ipv4.ip_local_port_range"},
		{dialError("connect", syscall.ENETUNREACH), "no route: is kernel_interface up?"},
		{dialError("connect", syscall.EHOSTUNREACH), "no route to host: it does not answer ARP, or a router refuses"},
		{dialError("socket", syscall.EMFILE), "too many open files: raise the limit (LimitNOFILE in the systemd unit)"},
		{dialError("connect", syscall.ECONNRESET), "connection reset"},
		{errors.New("something else"), "something else"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			m := newMonitor(t, func(context.Context, string, string) (net.Conn, error) { return nil, tt.err })
			m.Set([]health.Target{target("web", quick(store.CheckTCP, 80))})
			go m.Run(t.Context())
			for m.State(target("web").Key).Failed == 0 {
				time.Sleep(time.Millisecond)
			}
			equal(t, "error", m.State(target("web").Key).LastError, tt.want)
		})
	}
}

func TestLog(t *testing.T) {
	up := serve(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	m := newMonitor(t, nil)
	address := health.Key{Service: "web", RealServer: server}
	m.Set([]health.Target{{Key: address, Checks: checks(quick(store.CheckTCP, up))}})
	go m.Run(t.Context())
	waitFor(t, func() bool { return m.logs.Len() == 1 })
	bad := quick(store.CheckHTTP, up)
	bad.Timeout, bad.Path, bad.Fall = store.Duration(time.Millisecond), "/x", 2
	m.Set([]health.Target{{Key: address, Checks: checks(bad)}})
	waitFor(t, func() bool { return m.logs.Len() >= 4 })

	entries := m.logs.All()
	var lines []string
	for _, e := range entries[:4] {
		fields := e.ContextMap()
		latency, _ := fields["latency"].(time.Duration)
		if got := latency > 0; got != (e.Level == zap.DebugLevel) {
			t.Errorf("%s: latency %v", e.Message, fields["latency"])
		}
		delete(fields, "latency")
		lines = append(lines, fmt.Sprint(e.Level, " ", e.Message, " ", fields))
	}
	failed := "debug health check failed map[check:http port " + fmt.Sprint(up) + "/x error:timed out after 1ms real_server:127.0.0.21 service:web]"
	down := "info real server is down map[error:http port " + fmt.Sprint(up) + "/x: timed out after 1ms real_server:127.0.0.21 service:web]"
	if lines[2] == down { // the change is logged by another goroutine than the run
		lines[2], lines[3] = lines[3], lines[2]
	}
	equal(t, "log", lines, []string{"info real server is up map[real_server:127.0.0.21 service:web]", failed, failed, down})
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 5 s")
		}
	}
}

// Everything at once, over real sockets, for the race detector; nothing may be left afterwards.
func TestChurn(t *testing.T) {
	before := runtime.NumGoroutine()
	good := serveHTTP(t, status(200))
	bad := serveHTTP(t, status(500))
	dead := blackhole(t)
	m := newMonitor(t, nil)
	var work sync.WaitGroup
	work.Go(func() { m.Run(t.Context()) })
	end := time.Now().Add(500 * time.Millisecond)
	for range 2 {
		work.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				var targets []health.Target
				for n := range 30 {
					port := []uint16{good, bad, dead}[(n+i/7)%3]
					kind := []store.CheckType{store.CheckTCP, store.CheckHTTP, store.CheckNone}[(n+i)%3]
					key := health.Key{Service: fmt.Sprint(n % 10), RealServer: server}
					targets = append(targets, health.Target{Key: key, Checks: checks(quick(kind, port))})
				}
				m.Set(targets)
				m.All()
				time.Sleep(3 * time.Millisecond)
			}
		})
	}
	time.Sleep(time.Until(end))
	m.Close()
	work.Wait()
	if len(m.reported()) == 0 {
		t.Error("nothing changed: the churn does not churn")
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before+2 }) // the two HTTP servers
}

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	echoPort  = 7
	firstPort = 7001 // of the first service where a test has many
)

func serviceAddress(port int) string { return fmt.Sprintf("192.168.57.100:%d", port) }

// serveEcho greets every connection with the server's name in a line and then sends back what comes, until the test
// ends.
func (rs *server) serveEcho(t *testing.T, port int) {
	t.Helper()
	l, err := rs.listen(fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := fmt.Fprintln(conn, rs.name); err == nil {
					_, _ = io.Copy(conn, conn)
				}
			}()
		}
	}()
}

func (s *segment) serveEcho(t *testing.T, port int) {
	t.Helper()
	for _, rs := range s.servers {
		rs.serveEcho(t, port)
	}
}

// connection is a client's connection to a service that tells which server it is: echo's or nginx's.
type connection struct {
	net.Conn
	reader  *bufio.Reader
	server  string // who is at the other end
	timeout time.Duration
	errs    []error
}

// talkTimeout leaves room for two retransmissions on a busy machine; nothing here loses packets on purpose.
const talkTimeout = 10 * time.Second

// connect opens a connection to an echo service.
func (h *host) connect(address string) (*connection, error) {
	return newConnection((*connection).greeting)(h.dial("tcp", address))
}

// connectFrom opens one from an address of the host's.
func (h *host) connectFrom(source netip.Addr, address string) (*connection, error) {
	return newConnection((*connection).greeting)(h.dialFrom(source, address))
}

// browse opens a connection to nginx.
func (h *host) browse(address string) (*connection, error) {
	return newConnection((*connection).page)(h.dial("tcp", address))
}

// newConnection takes a connection over which ask finds out who serves it.
func newConnection(ask func(*connection) (string, error)) func(net.Conn, error) (*connection, error) {
	return func(conn net.Conn, err error) (*connection, error) {
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: conn, reader: bufio.NewReader(conn), timeout: talkTimeout}
		c.server, err = ask(c)
		return c, err
	}
}

// connectMany opens n connections to an echo service, which end with the test.
func (h *host) connectMany(t *testing.T, n int, address string) []*connection {
	t.Helper()
	return many(t, n, func() (*connection, error) { return h.connect(address) })
}

func (h *host) connectManyFrom(t *testing.T, n int, source netip.Addr, address string) []*connection {
	t.Helper()
	return many(t, n, func() (*connection, error) { return h.connectFrom(source, address) })
}

// browseMany opens n connections to nginx, which end with the test.
func (h *host) browseMany(t *testing.T, n int, address string) []*connection {
	t.Helper()
	return many(t, n, func() (*connection, error) { return h.browse(address) })
}

func many(t *testing.T, n int, open func() (*connection, error)) (connections []*connection) {
	t.Helper()
	for range n {
		c, err := open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		connections = append(connections, c)
	}
	return connections
}

// greeting is what an echo server says first.
func (c *connection) greeting() (server string, err error) {
	c.begin()
	line, err := c.reader.ReadString('\n')
	return strings.TrimSpace(line), err
}

// begin gives what comes next its time.
func (c *connection) begin() { _ = c.SetDeadline(time.Now().Add(c.timeout)) }

// page fetches nginx's page and leaves the connection open for the next one.
func (c *connection) page() (server string, err error) {
	c.begin()
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: web\r\n\r\n"); err != nil {
		return "", err
	}
	return c.answer()
}

// answer is the page that was asked for.
func (c *connection) answer() (server string, err error) {
	c.begin()
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// read fetches a page that the same server must serve as before.
func (c *connection) read() error {
	server, err := c.page()
	if err == nil && server != c.server {
		err = fmt.Errorf("%q answers", server)
	}
	return err
}

// talk sends n random bytes and wants them back.
func (c *connection) talk(n int) error {
	sent := make([]byte, n)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	c.begin()
	if _, err := c.Write(sent); err != nil {
		return err
	}
	got := make([]byte, n)
	if _, err := io.ReadFull(c.reader, got); err != nil {
		return err
	}
	if !bytes.Equal(got, sent) {
		return errors.New("other bytes came back")
	}
	return nil
}

// isReset says whether a connection was refused or ended by a RST.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED)
}

func isTimeout(err error) bool {
	timeout := net.Error(nil)
	return errors.As(err, &timeout) && timeout.Timeout()
}

func (c *connection) port() uint16    { return c.LocalAddr().(*net.TCPAddr).AddrPort().Port() }
func (c *connection) service() uint16 { return c.RemoteAddr().(*net.TCPAddr).AddrPort().Port() }

// chat lets connections to an echo service talk until the returned function is called, which wants that none failed.
func chat(t *testing.T, connections []*connection) (stop func()) {
	return hold(t, connections, func(c *connection) error { return c.talk(1 + rand.IntN(3000)) })
}

// hold uses all connections over and over until the returned function is called, which wants that none failed.
func hold(t *testing.T, connections []*connection, use func(*connection) error) (stop func()) {
	var group sync.WaitGroup
	done := make(chan struct{})
	for _, c := range connections {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Duration(50+rand.IntN(100)) * time.Millisecond):
				}
				if err := use(c); err != nil {
					c.errs = append(c.errs, err)
					return
				}
			}
		})
	}
	return func() {
		t.Helper()
		close(done)
		group.Wait()
		for _, c := range connections {
			for _, err := range c.errs {
				t.Errorf("the connection from port %d to %s broke: %v", c.port(), c.server, err)
			}
		}
	}
}

// wantOneServer wants the connections to have one server, which it returns.
func wantOneServer(t *testing.T, whose string, connections []*connection) (server string) {
	t.Helper()
	for _, c := range connections {
		if server == "" {
			server = c.server
		}
		if c.server != server {
			t.Errorf("connections of %s went to %s and %s, want one real server", whose, server, c.server)
		}
	}
	return server
}

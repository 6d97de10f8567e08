package api_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
)

// oneListener accepts one connection and then none.
type oneListener struct{ conns chan net.Conn }

func (l oneListener) Accept() (net.Conn, error) {
	if conn, open := <-l.conns; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l oneListener) Close() error { return nil }

func (l oneListener) Addr() net.Addr { return unixSocket }

// connected runs test in a bubble, with a connection to a server of the real time-outs.
func connected(t *testing.T, test func(t *testing.T, conn net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		conns := make(chan net.Conn, 1)
		conns <- theirs
		close(conns)
		s := api.HTTPServer(api.Config{Log: zap.NewNop()}, handler(t, apitest.New(), unixSocket))
		_ = s.Serve(oneListener{conns})
		test(t, ours)
		if err := errors.Join(ours.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second) // what it says about a refusal the server gives half a second to be read
	})
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// hangsUp waits until the server closes the connection and says how long that took.
func hangsUp(t *testing.T, conn net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	if err := conn.SetReadDeadline(start.Add(2 * time.Minute)); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Error(err)
	}
	return time.Since(start)
}

func TestBodyThatDoesNotCome(t *testing.T) {
	for _, path := range []string{"/v1/services", "/v1/role", rs1 + "/drain"} {
		connected(t, func(t *testing.T, conn net.Conn) {
			start := time.Now()
			say(t, conn, "PUT "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusRequestTimeout || answer.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("PUT %s: status %d, %s", path, answer.StatusCode, answer.Header.Get("Content-Type"))
			}
			if took := time.Since(start); took != 5*time.Second {
				t.Errorf("PUT %s: answered after %v", path, took)
			}
		})
	}
}

func TestHeaderThatDoesNotEnd(t *testing.T) {
	connected(t, func(t *testing.T, conn net.Conn) {
		say(t, conn, "GET /v1/status HTTP/1.1\r\nHost: x\r\n")
		if took := hangsUp(t, conn); took != 5*time.Second {
			t.Errorf("hung up after %v", took)
		}
	})
}

func TestHeaderThatIsTooLong(t *testing.T) {
	connected(t, func(t *testing.T, conn net.Conn) {
		go io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status %d", answer.StatusCode)
		}
	})
}

func TestConnectionLeftIdle(t *testing.T) {
	connected(t, func(t *testing.T, conn net.Conn) {
		say(t, conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if took := hangsUp(t, conn); took != time.Minute {
			t.Errorf("hung up after %v", took)
		}
	})
}

// A client that asks and does not read is given up, be it for an answer or for events.
func TestAnswerThatIsNotRead(t *testing.T) {
	for path, limit := range map[string]time.Duration{"/v1/services": 30 * time.Second, "/v1/events": 10 * time.Second} {
		connected(t, func(t *testing.T, conn net.Conn) {
			say(t, conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			time.Sleep(limit + time.Second)
			if took := hangsUp(t, conn); took != 0 {
				t.Errorf("GET %s: still open after %v, for %v more", path, limit, took)
			}
		})
	}
}

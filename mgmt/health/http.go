package health

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"regexp"
)

// What an http check reads at most, in bytes. More header is a failure; more body is not read.
const (
	maxHeader = 64 << 10
	maxBody   = 64 << 10
)

// http passes on a whole answer that is as k expects; a redirect is an answer like any other. It uses net/http's reading
// and writing but not its Transport, which would keep two goroutines per connection and may go on dialling after the
// deadline.
func (m *Monitor) http(ctx context.Context, k checkKey) error {
	req, err := m.request(ctx, "http", k)
	if err != nil {
		return err
	}
	conn, err := m.open(ctx, "tcp", k.socket())
	if err != nil {
		return err
	}
	defer conn.Close()
	return fetch(conn, req, k)
}

// https is http within TLS. The connection is closed below TLS, by RST.
func (m *Monitor) https(ctx context.Context, k checkKey) error {
	req, err := m.request(ctx, "https", k)
	if err != nil {
		return err
	}
	conn, err := m.open(ctx, "tcp", k.socket())
	if err != nil {
		return err
	}
	defer conn.Close()
	secured := tls.Client(conn, &tls.Config{
		ServerName: serverName(req, k), InsecureSkipVerify: !k.TLSVerify, RootCAs: m.cfg.Roots, NextProtos: []string{"http/1.1"},
	})
	if err := secured.HandshakeContext(ctx); err != nil {
		return err
	}
	return fetch(secured, req, k)
}

// serverName is the name that the certificate must have and that is sent as SNI, unless it is an address.
func serverName(req *http.Request, k checkKey) string {
	if k.SNI != "" {
		return k.SNI
	}
	if host, _, err := net.SplitHostPort(req.Host); err == nil {
		return host
	}
	return req.Host
}

func (m *Monitor) request(ctx context.Context, scheme string, k checkKey) (*http.Request, error) {
	path := k.Path
	if path == "" {
		path = "/"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+k.socket()+path, nil)
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

// fetch sends req and judges the answer, passing over informational ones (RFC 9110 section 15.2).
func fetch(conn io.ReadWriter, req *http.Request, k checkKey) error {
	if err := req.Write(conn); err != nil {
		return err
	}
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
	if !k.Status.Contains(resp.StatusCode) {
		return fmt.Errorf("status %d, want %s", resp.StatusCode, k.Status)
	}
	limit.N = math.MaxInt64
	return judgeBody(io.LimitReader(resp.Body, maxBody), k)
}

// judgeBody reads the body to its end, and looks for what k expects in it.
func judgeBody(body io.Reader, k checkKey) error {
	if k.Body == "" && k.BodyRegex == "" {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	expression, err := regexp.Compile(k.BodyRegex)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(body)
	switch {
	case err != nil:
		return err
	case !bytes.Contains(text, []byte(k.Body)):
		return fmt.Errorf("the body lacks %q (%d bytes read)", k.Body, len(text))
	case !expression.Match(text):
		return fmt.Errorf("the body does not match %q (%d bytes read)", k.BodyRegex, len(text))
	}
	return nil
}

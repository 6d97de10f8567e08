package api_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
)

const secret = "0123456789abcdef0123456789abcdef"

func tokenFile(t testing.TB, token string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func tcp(address string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(address), Port: 9180} }

func TestWhoMayDoWhat(t *testing.T) {
	const (
		remove = "DELETE /v1/services/web"
		status = "GET /v1/status"
	)
	withToken := api.Config{TokenFile: tokenFile(t, secret, 0o600), Listen: []string{"director1.example:9180"}}
	var noToken api.Config
	bearer := "Authorization: Bearer " + secret
	for _, c := range []struct {
		name    string
		cfg     api.Config
		local   net.Addr
		call    string
		headers []string
		status  int
		says    string
	}{
		{"unix socket, any host", noToken, unixSocket, remove, []string{"Host: evil.example", "Origin: http://evil.example"}, 200, ""},
		{"loopback read", noToken, tcp("127.0.0.1"), status, []string{"Host: 127.0.0.1:9180"}, 200, ""},
		{"loopback read by name", noToken, tcp("127.0.0.1"), status, []string{"Host: localhost:9180"}, 200, ""},
		{"loopback read by name in capitals", noToken, tcp("127.0.0.1"), status, []string{"Host: LocalHost"}, 200, ""},
		{"loopback read, IPv6", noToken, tcp("::1"), status, []string{"Host: [::1]:9180"}, 200, ""},
		{"loopback flows: tuples are no packet contents", noToken, tcp("127.0.0.1"), "GET /v1/flows", []string{"Host: localhost"}, 200, ""},
		{"loopback packets", noToken, tcp("127.0.0.1"), "GET /v1/drops/no_service.pcapng", []string{"Host: localhost"}, 403, "packet contents are shown on the unix socket only"},
		{"loopback packets of a reason that is none", noToken, tcp("127.0.0.1"), "GET /v1/drops/x", []string{"Host: localhost"}, 403, "on the unix socket only"},
		{"loopback packets by an escaped path", noToken, tcp("127.0.0.1"), "GET /v1/%64rops/no_service.pcapng", []string{"Host: localhost"}, 403, "on the unix socket only"},
		{"loopback packets, HEAD", noToken, tcp("127.0.0.1"), "HEAD /v1/capture", []string{"Host: localhost"}, 403, "on the unix socket only"},
		{"loopback capture", noToken, tcp("127.0.0.1"), "GET /v1/capture?count=1", []string{"Host: localhost"}, 403, "packet contents are shown on the unix socket only"},
		{"loopback capture by an escaped path", noToken, tcp("127.0.0.1"), "GET /v1/%63apture", []string{"Host: localhost"}, 403, "on the unix socket only"},
		{"loopback capture without the token", withToken, tcp("127.0.0.1"), "GET /v1/capture", []string{"Host: localhost"}, 401, "needs the bearer token"},
		{"loopback capture with the token", withToken, tcp("127.0.0.1"), "GET /v1/capture?count=1", []string{"Host: localhost", bearer}, 200, ""},
		{"packets beyond loopback with the token", withToken, tcp("192.0.2.1"), "GET /v1/drops/no_service.pcapng", []string{"Host: 192.0.2.1", bearer}, 200, ""},
		{"packets on the unix socket", noToken, unixSocket, "GET /v1/drops/no_service.pcapng", nil, 200, ""},
		{"loopback counts of drops", noToken, tcp("127.0.0.1"), "GET /v1/drops", []string{"Host: localhost"}, 200, ""},
		{"write without a token there could be", withToken, tcp("127.0.0.1"), remove, []string{"Host: localhost"}, 401, "needs the bearer token"},
		{"write where no token would do", noToken, tcp("127.0.0.1"), remove, []string{"Host: localhost"}, 403, "on the unix socket only"},
		{"write with a token where there is none", noToken, tcp("127.0.0.1"), remove, []string{"Host: localhost", bearer}, 403, "on the unix socket only"},
		{"write with the token", withToken, tcp("127.0.0.1"), remove, []string{"Host: localhost", bearer}, 200, ""},
		{"write with another token", withToken, tcp("127.0.0.1"), remove, []string{"Host: localhost", bearer + "0"}, 401, "is not the one"},
		{"write with an empty token", withToken, tcp("127.0.0.1"), remove, []string{"Host: localhost", "Authorization: Bearer "}, 401, "is not the one"},
		{"write with a password", withToken, tcp("127.0.0.1"), remove, []string{"Host: localhost", "Authorization: Basic " + secret}, 401, "is not the one"},
		{"read with another token", withToken, tcp("127.0.0.1"), status, []string{"Host: localhost", "Authorization: Bearer x"}, 401, "is not the one"},
		{"unknown method without a token", noToken, tcp("127.0.0.1"), "BREW /v1/status", []string{"Host: localhost"}, 403, "on the unix socket only"},
		{"events beyond loopback", withToken, tcp("192.0.2.1"), "GET /v1/events?follow=false", []string{"Host: 192.0.2.1"}, 401, "needs the bearer token"},
		{"events on loopback", noToken, tcp("127.0.0.1"), "GET /v1/events?follow=false", []string{"Host: localhost"}, 200, ""},
		{"events for another site's page", noToken, tcp("127.0.0.1"), "GET /v1/events", []string{"Host: localhost", "Origin: http://evil.example"}, 403, "Origin"},
		{"a drain without a token", noToken, tcp("127.0.0.1"), "PUT " + rs1 + "/drain", []string{"Host: localhost"}, 403, "on the unix socket only"},
		{"a drain with the token", withToken, tcp("127.0.0.1"), "PUT " + rs1 + "/drain", []string{"Host: localhost", bearer}, 200, ""},
		{"a rollback without the token", withToken, tcp("127.0.0.1"), "POST /v1/generations/7/rollback", []string{"Host: localhost"}, 401, "needs the bearer token"},
		{"rebound name", noToken, tcp("127.0.0.1"), status, []string{"Host: evil.example:9180"}, 403, "Host evil.example:9180"},
		{"rebound name, with the token", withToken, tcp("127.0.0.1"), remove, []string{"Host: evil.example", bearer}, 403, "Host evil.example"},
		{"rebound name, metrics", noToken, tcp("127.0.0.1"), "GET /metrics", []string{"Host: localhost.evil.example"}, 403, "Host"},
		{"no name", noToken, tcp("127.0.0.1"), status, []string{"Host: "}, 403, "Host"},
		{"another address as host", noToken, tcp("127.0.0.1"), status, []string{"Host: 192.0.2.1"}, 403, "Host"},
		{"the address connected to", withToken, tcp("192.0.2.1"), status, []string{"Host: 192.0.2.1:9180", bearer}, 200, ""},
		{"the name listened on", withToken, tcp("192.0.2.1"), status, []string{"Host: director1.example:9180", bearer}, 200, ""},
		{"own page", noToken, tcp("127.0.0.1"), status, []string{"Host: localhost:9180", "Origin: http://localhost:9180"}, 200, ""},
		{"another port's page", noToken, tcp("127.0.0.1"), status, []string{"Host: localhost:9180", "Origin: http://localhost:80"}, 403, "Origin"},
		{"another site's page", noToken, tcp("127.0.0.1"), status, []string{"Host: localhost", "Origin: http://evil.example"}, 403, "Origin"},
		{"a file's page", noToken, tcp("127.0.0.1"), status, []string{"Host: localhost", "Origin: null"}, 403, "Origin"},
		{"beyond loopback, read", withToken, tcp("192.0.2.1"), status, []string{"Host: 192.0.2.1"}, 401, "needs the bearer token"},
		{"beyond loopback, path that is cleaned", withToken, tcp("192.0.2.1"), "GET /metrics/../v1/status", []string{"Host: 192.0.2.1"}, 401, "needs"},
		{"beyond loopback, metrics", withToken, tcp("192.0.2.1"), "GET /metrics", []string{"Host: 192.0.2.1"}, 200, ""},
		{"beyond loopback, alive", withToken, tcp("192.0.2.1"), "GET /healthz", []string{"Host: 192.0.2.1"}, 200, ""},
		{"beyond loopback, ready", withToken, tcp("192.0.2.1"), "GET /readyz", []string{"Host: 192.0.2.1"}, 200, ""},
		{"beyond loopback, document", withToken, tcp("192.0.2.1"), "GET /openapi.json", []string{"Host: 192.0.2.1"}, 200, ""},
		{"beyond loopback, write with the token", withToken, tcp("192.0.2.1"), remove, []string{"Host: 192.0.2.1", bearer}, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Director, c.cfg.Metrics = apitest.New(), metricsStub
			h, err := api.Handler(c.cfg, c.local)
			if err != nil {
				t.Fatal(err)
			}
			method, path, _ := strings.Cut(c.call, " ")
			w := call{method: method, path: path, headers: c.headers}.send(h)
			if w.Code != c.status {
				t.Fatalf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
			if c.says == "" {
				return
			}
			if detail, _ := problemOf(t, w); !strings.Contains(detail, c.says) {
				t.Errorf("detail %q, want %q in it", detail, c.says)
			}
			if got := w.Header().Get("WWW-Authenticate") != ""; got != (c.status == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate present: %v in a %d", got, c.status)
			}
		})
	}
}

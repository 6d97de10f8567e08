package api_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
)

// serve runs a server for the length of the test.
func serve(t *testing.T, cfg api.Config) *api.Server {
	t.Helper()
	cfg.Director, cfg.Metrics = apitest.New(), metricsStub
	s, err := api.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-ran); err != nil {
			t.Error(err)
		}
	})
	return s
}

func unixClient(path string) *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true,
	}}
}

// status sends a request and returns the answer's status.
func status(t *testing.T, client *http.Client, method, url, token string) int {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "turnout.sock")
	s := serve(t, api.Config{Listen: []string{"unix:" + path}, SocketGroup: "daemon"})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("mode %v, want srw-rw----", info.Mode())
	}
	if os.Getuid() == 0 {
		if gid := info.Sys().(*syscall.Stat_t).Gid; gid != 1 { // daemon is 1 on Debian
			t.Errorf("group %d, want 1 (daemon)", gid)
		}
	}
	if got := status(t, unixClient(path), "DELETE", "http://turnout/v1/services/web", ""); got != http.StatusOK {
		t.Errorf("a write on the unix socket: status %d", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestUnknownSocketGroupLeavesItToRoot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "turnout.sock")
	serve(t, api.Config{Listen: []string{"unix:" + path}, SocketGroup: "no-such-group"})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; info.Mode().Perm() != 0o660 || gid != uint32(os.Getgid()) {
		t.Errorf("mode %v, group %d", info.Mode(), gid)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "turnout.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as a killed process leaves it
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	serve(t, api.Config{Listen: []string{"unix:" + path}})
	if got := status(t, unixClient(path), "GET", "http://turnout/healthz", ""); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
}

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	live, file := filepath.Join(dir, "live.sock"), filepath.Join(dir, "file")
	serve(t, api.Config{Listen: []string{"unix:" + live}})
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, c := range []struct {
		name string
		cfg  api.Config
		says string
	}{
		{"live socket", api.Config{Listen: []string{"unix:" + live}}, "address in use: a process answers on this socket"},
		{"a file in its place", api.Config{Listen: []string{"unix:" + file}}, "not a socket"},
		{"no folder", api.Config{Listen: []string{"unix:" + dir + "/none/turnout.sock"}}, "the folder " + dir + "/none does not exist"},
		{"busy port", api.Config{Listen: []string{busy.Addr().String()}}, "address in use: another process listens there"},
		{"no port", api.Config{Listen: []string{"127.0.0.1"}}, "want unix:/path or host:port"},
		{"all addresses, no credentials", api.Config{Listen: []string{":0"}}, "needs mgmt.token_file or mgmt.tls.client_ca"},
		{"another address, no credentials", api.Config{Listen: []string{"192.0.2.1:9180"}}, "needs mgmt.token_file or mgmt.tls.client_ca"},
		{"no token file", api.Config{TokenFile: dir + "/none"}, "no such file"},
		{"open token file", api.Config{TokenFile: tokenFile(t, secret, 0o644)}, "chmod 600"},
		{"short token", api.Config{TokenFile: tokenFile(t, "1234", 0o600)}, "want at least 22"},
		{"no certificate", api.Config{TLS: api.TLS{Cert: dir + "/c", Key: dir + "/k"}}, "mgmt.tls: cert and key"},
		{"client CA without certificate", api.Config{TLS: api.TLS{ClientCA: file}}, "mgmt.tls: cert and key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Director, c.cfg.Metrics = apitest.New(), metricsStub
			s, err := api.Listen(c.cfg)
			if err == nil {
				s.Close()
				t.Fatal("it listens")
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q, want %q in it", err, c.says)
			}
		})
	}
}

// When one listener cannot be had, those opened before it are closed again.
func TestListenIsAllOrNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "turnout.sock")
	_, err := api.Listen(api.Config{Listen: []string{"unix:" + path, "192.0.2.1:9180"}, Director: apitest.New(), Metrics: metricsStub})
	if err == nil {
		t.Fatal("it listens beyond loopback without credentials")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestCloseEndsHangingRequests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "turnout.sock")
	s := serve(t, api.Config{Listen: []string{"unix:" + path}})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PUT /v1/services HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // until the server reads the body, which never comes
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 1500*time.Millisecond {
		t.Errorf("Close took %v, want about 1 s at most", took)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	s, err := api.Listen(api.Config{Listen: []string{"127.0.0.1:0"}, Director: apitest.New(), Metrics: metricsStub})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestTokenOverTCP(t *testing.T) {
	s := serve(t, api.Config{Listen: []string{"127.0.0.1:0"}, TokenFile: tokenFile(t, secret, 0o600)})
	url := "http://" + s.Addresses()[0].String()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct {
		method, token string
		want          int
	}{{"GET", "", 200}, {"DELETE", "", 401}, {"DELETE", secret[1:], 401}, {"DELETE", secret, 200}} {
		if got := status(t, client, c.method, url+"/v1/services/web", c.token); got != c.want {
			t.Errorf("%s with token %q: status %d, want %d", c.method, c.token, got, c.want)
		}
	}
}

func TestMutualTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	server := ca.issue(t, "director1.example")
	s := serve(t, api.Config{Listen: []string{"127.0.0.1:0"}, TLS: api.TLS{Cert: server.cert, Key: server.key, ClientCA: ca.file}})
	url := "https://" + s.Addresses()[0].String()
	for _, c := range []struct {
		name   string
		client pair
		method string
		want   int // 0: the handshake fails
	}{
		{"no certificate, read", pair{}, "GET", 200},
		{"no certificate, write", pair{}, "DELETE", 401},
		{"another authority's certificate", other.issue(t, "admin"), "GET", 0},
		{"a good certificate", ca.issue(t, "admin"), "DELETE", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: c.client.config(t, ca)}}
			if c.want == 0 {
				if answer, err := client.Get(url + "/healthz"); err == nil {
					answer.Body.Close()
					t.Error("the handshake succeeded")
				}
				return
			}
			if got := status(t, client, c.method, url+"/v1/services/web", ""); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
		})
	}
	t.Run("TLS 1.1", func(t *testing.T) {
		config := pair{}.config(t, ca)
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		if conn, err := tls.Dial("tcp", s.Addresses()[0].String(), config); err == nil {
			conn.Close()
			t.Error("the handshake succeeded")
		}
	})
	t.Run("a name of the certificate as Host", func(t *testing.T) {
		r, err := http.NewRequest("GET", url+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "director1.example"
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: pair{}.config(t, ca)}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("status %d", answer.StatusCode)
		}
	})
}

// authority signs certificates for the test.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

// pair names a certificate's and its key's file; zero for none.
type pair struct{ cert, key string }

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{key: newKey(t)}
	ca := template("CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = writePEM(t, "CERTIFICATE", der)
	return a
}

func (a authority) issue(t *testing.T, name string) pair {
	t.Helper()
	key, leaf := newKey(t), template(name)
	leaf.DNSNames, leaf.IPAddresses = []string{name}, []net.IP{net.IPv4(127, 0, 0, 1)}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{writePEM(t, "CERTIFICATE", der), writePEM(t, "EC PRIVATE KEY", keyDER)}
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// config is a client that trusts ca and shows p, whoever signed it.
func (p pair) config(t *testing.T, ca authority) *tls.Config {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(ca.cert)
	if p == (pair{}) {
		return config
	}
	certificate, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		t.Fatal(err)
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
	return config
}

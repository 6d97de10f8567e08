package health_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"turnout/mgmt/health"
	"turnout/mgmt/store"
)

func TestExpectations(t *testing.T) {
	page := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	for _, tt := range []struct {
		name   string
		server http.HandlerFunc
		change func(*store.HealthCheck)
		want   string
	}{
		{"a redirect that is wanted", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusMovedPermanently)
		},
			func(c *store.HealthCheck) { c.Status = "200,301" }, ""},
		{"200 that is not", page(200, ""), func(c *store.HealthCheck) { c.Status = "301,400-499" }, "status 200, want 301,400-499"},
		{"text", page(200, "all is well"), func(c *store.HealthCheck) { c.Body = "is well" }, ""},
		{"no text", page(200, "all is Well"), func(c *store.HealthCheck) { c.Body = "is well" }, `the body lacks "is well" (11 bytes read)`},
		{"text of an error page", page(500, "all is well"), func(c *store.HealthCheck) { c.Body = "well" }, "status 500, want 200-299"},
		{"expression", page(200, "up: 17\nok"), func(c *store.HealthCheck) { c.BodyRegex = `(?m)^up: \d+$` }, ""},
		{"no match", page(200, "up: never"), func(c *store.HealthCheck) { c.BodyRegex = `up: \d+` }, `the body does not match "up: \\d+" (9 bytes read)`},
		{"one of two", page(200, "ok"), func(c *store.HealthCheck) { c.Body, c.BodyRegex = "ok", "^up" }, `the body does not match "^up" (2 bytes read)`},
		{"the other", page(200, "up"), func(c *store.HealthCheck) { c.Body, c.BodyRegex = "ok", "^up" }, `the body lacks "ok" (2 bytes read)`},
		{"text at the end of what is read", page(200, strings.Repeat(".", 64<<10-2)+"ok"), func(c *store.HealthCheck) { c.Body = "ok" }, ""},
		{"text after it", page(200, strings.Repeat(".", 64<<10)+"ok"), func(c *store.HealthCheck) { c.Body = "ok" }, `the body lacks "ok" (65536 bytes read)`},
		{"text, and silence after it", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "ok")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, func(c *store.HealthCheck) { c.Body = "ok" }, "timed out after 300ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := quick(store.CheckHTTP, serveHTTP(t, tt.server))
			tt.change(&c)
			equal(t, "error", first(t, source, server, c).LastError, tt.want)
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Int32
	port := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there" {
			followed.Add(1)
		}
		http.Redirect(w, r, "/there", http.StatusFound)
	})
	s := first(t, source, server, quick(store.CheckHTTP, port))
	equal(t, "error", s.LastError, "status 302, want 200-299")
	equal(t, "requests for the target of the redirect", followed.Load(), 0)
}

// authority signs certificates for these tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))(t)
	return authority{must(x509.ParseCertificate(der))(t), key}
}

func (a authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// sign makes a certificate for a name and an address, valid until then.
func (a authority) sign(t *testing.T, name string, address netip.Addr, until time.Time) tls.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, IPAddresses: []net.IP{address.AsSlice()},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key))(t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS answers "secure" and tells by which server name it was asked.
func serveTLS(t *testing.T, certificate tls.Certificate) (uint16, *atomic.Value) {
	t.Helper()
	var name atomic.Value
	l, port := listen(t)
	s := &http.Server{
		ErrorLog: zap.NewStdLog(zap.NewNop()),
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "secure") }),
		TLSConfig: &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			name.Store(hello.ServerName)
			return &certificate, nil
		}},
	}
	go s.ServeTLS(l, "", "")
	t.Cleanup(func() { s.Close() })
	return port, &name
}

func TestHTTPS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	good := ca.sign(t, "www.example.org", server, later)
	verify := func(change func(*store.HealthCheck)) func(*store.HealthCheck) {
		return func(c *store.HealthCheck) {
			c.TLSVerify = true
			change(c)
		}
	}
	host := func(c *store.HealthCheck) { c.Host = "www.example.org:8443" }
	none := func(*store.HealthCheck) {}
	for _, tt := range []struct {
		name        string
		certificate tls.Certificate
		change      func(*store.HealthCheck)
		want, sni   string
	}{
		{"good by host", good, verify(host), "", "www.example.org"},
		{"good by SNI", good, verify(func(c *store.HealthCheck) { c.Host, c.SNI = "other.example.org", "www.example.org" }), "", "www.example.org"},
		{"good by address", good, verify(none), "", ""},
		{"wrong name", good, verify(func(c *store.HealthCheck) { c.SNI = "mail.example.org" }), "tls: failed to verify certificate: x509: certificate is valid for www.example.org, not mail.example.org", "mail.example.org"},
		{"wrong address", ca.sign(t, "www.example.org", source, later), verify(none), "tls: failed to verify certificate: x509: certificate is valid for 127.0.0.9, not 127.0.0.21", ""},
		{"expired", ca.sign(t, "www.example.org", server, past), verify(host), "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: ", "www.example.org"},
		{"of a stranger", stranger.sign(t, "www.example.org", server, later), verify(host), "tls: failed to verify certificate: x509: certificate signed by unknown authority", "www.example.org"},
		{"wrong name, not verified", good, func(c *store.HealthCheck) { c.SNI = "mail.example.org" }, "", "mail.example.org"},
		{"expired, not verified", ca.sign(t, "www.example.org", server, past), none, "", ""},
		{"of a stranger, not verified", stranger.sign(t, "www.example.org", server, later), host, "", "www.example.org"},
		{"body", good, func(c *store.HealthCheck) { c.Body = "secure" }, "", ""},
		{"no body", good, func(c *store.HealthCheck) { c.Body = "plain" }, `the body lacks "plain" (6 bytes read)`, ""},
		{"status", good, func(c *store.HealthCheck) { c.Status = "404" }, "status 200, want 404", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			port, name := serveTLS(t, tt.certificate)
			c := quick(store.CheckHTTPS, port)
			tt.change(&c)
			s := firstOf(t, server, c, health.Config{Source: source, Roots: ca.roots()})
			if tt.want == "" && s.LastError != "" || !strings.HasPrefix(s.LastError, tt.want) {
				t.Errorf("error %q, want %q", s.LastError, tt.want)
			}
			equal(t, "SNI", name.Load().(string), tt.sni)
		})
	}
}

func TestHTTPSOfOthers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server func(net.Conn)
		want   string
	}{
		{"speaks plain HTTP", answerAnything("HTTP/1.1 400 Bad Request\r\n\r\n"), "tls: first record does not look like a TLS handshake"},
		{"closes", answerAnything(""), "EOF"},
		{"silent", func(conn net.Conn) { io.Copy(io.Discard, conn) }, "timed out after 300ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			equal(t, "error", first(t, source, server, quick(store.CheckHTTPS, serve(t, tt.server))).LastError, tt.want)
		})
	}
}

func answerAnything(text string) func(net.Conn) {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 1<<10))
		io.WriteString(conn, text)
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, conn)
	}
}

// As with tcp, no end keeps the connection in TIME_WAIT.
func TestHTTPSEndsByReset(t *testing.T) {
	certificate := newAuthority(t).sign(t, "www.example.org", server, time.Now().Add(time.Hour))
	end := make(chan error, 10)
	port := serve(t, func(conn net.Conn) {
		secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
		secured.Read(make([]byte, 1<<10))
		io.WriteString(secured, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, err := io.Copy(io.Discard, conn)
		end <- err
	})
	equal(t, "error", first(t, source, server, quick(store.CheckHTTPS, port)).LastError, "")
	if err := <-end; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended by %v, want a reset", err)
	}
}

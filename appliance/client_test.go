package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutualTLS has a director that is known to nobody but by --ca-file, and wants to know who asks.
func TestMutualTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"role":"%d certificates"}`, len(r.TLS.PeerCertificates))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail on purpose
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	pair := server.TLS.Certificates[0] // serves as the client's too
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert := writePEM(t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", pair.Certificate[0])
	flags := []string{"role", "--server", server.URL, "--cert-file", cert, "--key-file", writePEM(t, filepath.Join(dir, "key.pem"), "PRIVATE KEY", key)}
	if out, err := turnout(append(flags, "--ca-file", cert)...); err != nil || out != "1 certificates\n" {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := turnout(flags...); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without --ca-file: %v", err)
	}
	if _, err := turnout("role", "--server", server.URL, "--ca-file", cert); err == nil {
		t.Error("without a client certificate it is answered")
	}
}

func writePEM(t *testing.T, path, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// An answer that ends too early is named as such, of a success and of a refusal.
func TestAnswerThatBreaksOff(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusNotFound} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(status)
		}))
		if _, err := turnout("role", "--server", server.URL); err == nil || !strings.Contains(err.Error(), "the answer of "+server.URL+" broke off") {
			t.Errorf("status %d: %v", status, err)
		}
		server.Close()
	}
}

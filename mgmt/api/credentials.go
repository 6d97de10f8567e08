package api

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
)

// minToken is the least length of a bearer token in bytes: 128 bits in hex are 32, in base64 22.
const minToken = 22

// credentials are what TCP clients can prove themselves by, and what the server proves itself by.
type credentials struct {
	token []byte // SHA-256 of the bearer token; nil for none
	tls   *tls.Config
}

func (c credentials) mutual() bool { return c.tls != nil && c.tls.ClientCAs != nil }

func loadCredentials(cfg Config) (credentials, error) {
	token, err := loadToken(cfg.TokenFile)
	if err != nil {
		return credentials{}, fmt.Errorf("mgmt.token_file %s: %w", cfg.TokenFile, err)
	}
	config, err := loadTLS(cfg.TLS)
	if err != nil {
		return credentials{}, fmt.Errorf("mgmt.tls: %w", err)
	}
	return credentials{token, config}, nil
}

func loadToken(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, errors.New("anybody on this machine may open it: chmod 600")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	token := bytes.TrimSpace(text)
	if len(token) < minToken {
		return nil, fmt.Errorf("the token has %d bytes, want at least %d: make one by `openssl rand -hex 16`", len(token), minToken)
	}
	digest := sha256.Sum256(token)
	return digest[:], nil
}

func loadTLS(files TLS) (*tls.Config, error) {
	if files == (TLS{}) {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("cert and key: %w", err)
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
		NextProtos:   []string{"http/1.1"},
	}
	if files.ClientCA == "" {
		return config, nil
	}
	// A client without a certificate may still read: the guard, not the handshake, refuses it.
	config.ClientAuth = tls.VerifyClientCertIfGiven
	config.ClientCAs, err = loadPool(files.ClientCA)
	return config, err
}

func loadPool(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("client_ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client_ca: %s holds no PEM certificate", path)
	}
	return pool, nil
}

// guard puts the rules before next.
func (c credentials) guard(next http.Handler, addresses []string) *guard {
	g := &guard{next: next, token: c.token, mutual: c.mutual()}
	if c.tls != nil {
		g.identity = c.tls.Certificates[0].Leaf
	}
	for _, address := range addresses {
		if host, _, err := net.SplitHostPort(address); err == nil && !strings.HasPrefix(address, "unix:") {
			g.hosts = append(g.hosts, strings.ToLower(host))
		}
	}
	return g
}

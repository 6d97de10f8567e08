package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	defaultServer = "unix:/run/turnout.sock"
	clientTimeout = 30 * time.Second
)

// usageError is a wrong use of a command: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usageArgs makes wrong arguments a usageError.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// clientFlags say where the director is and how to prove oneself to it.
type clientFlags struct {
	server    string
	tokenFile string
	caFile    string
	certFile  string
	keyFile   string
}

func (f *clientFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.server, "server", defaultServer, "the director: unix:/path, http://host:port or https://host:port")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the bearer token, for http and https")
	flags.StringVar(&f.caFile, "ca-file", "", "who signed the director's certificate (PEM), if not an authority of this system")
	flags.StringVar(&f.certFile, "cert-file", "", "client certificate (PEM), for https")
	flags.StringVar(&f.keyFile, "key-file", "", "key of the client certificate (PEM)")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
}

// client calls the HTTP API of a director.
type client struct {
	server string // as the user gave it
	base   string // URL without path
	token  string
	http   *http.Client
}

func (f *clientFlags) dial() (*client, error) {
	c := &client{server: f.server, base: strings.TrimSuffix(f.server, "/"), http: &http.Client{Timeout: clientTimeout}}
	if path, ok := strings.CutPrefix(f.server, "unix:"); ok {
		c.base = "http://turnout" // any name will do: the socket is not chosen by it
		c.http.Transport = unixTransport(path)
		return c, nil
	}
	if !strings.HasPrefix(f.server, "http://") && !strings.HasPrefix(f.server, "https://") {
		return nil, usageError{fmt.Errorf("--server %s: want unix:/path, http://host:port or https://host:port", f.server)}
	}
	config, err := f.tls()
	if err != nil {
		return nil, err
	}
	c.http.Transport = &http.Transport{TLSClientConfig: config}
	c.token, err = readToken(f.tokenFile)
	return c, err
}

func unixTransport(path string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
}

func (f *clientFlags) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.caFile != "" {
		pem, err := os.ReadFile(f.caFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-file: %s holds no PEM certificate", f.caFile)
		}
	}
	if f.certFile != "" || f.keyFile != "" {
		pair, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
		if err != nil {
			return nil, fmt.Errorf("--cert-file and --key-file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// call sends body, if not nil, and returns the answer's. An answer that is no success is an error with what it says.
func (c *client) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	answer, err := c.send(ctx, c.http, method, path, body)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, c.broken(err)
	}
	return text, nil
}

// open is call for an answer that is read as it comes, which may take for ever.
func (c *client) open(ctx context.Context, path string) (io.ReadCloser, error) {
	answer, err := c.send(ctx, &http.Client{Transport: c.http.Transport}, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// send returns the answer of a success, whose body the caller closes.
func (c *client) send(ctx context.Context, by *http.Client, method, path string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, usageError{fmt.Errorf("--server %s: %w", c.server, err)}
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := by.Do(r)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if answer.StatusCode < http.StatusMultipleChoices {
		return answer, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, c.broken(err)
	}
	return nil, refusal(answer.Status, text)
}

func (c *client) broken(err error) error {
	return fmt.Errorf("the answer of %s broke off: %w", c.server, err)
}

// unreachable says what to look at when no answer came.
func (c *client) unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission to open %s: be root, or a member of mgmt.socket_group", c.server)
	case strings.HasPrefix(c.server, "unix:"):
		return fmt.Errorf("cannot reach the director at %s: is turnout running, and is this its socket (mgmt.listen)? %w", c.server, cause(err))
	}
	return fmt.Errorf("cannot reach the director at %s: is turnout running, and does it listen there (mgmt.listen)? %w", c.server, cause(err))
}

// cause is the system's error without the request and the addresses, which the sentence has already.
func cause(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// refusal is the error that a problem document (RFC 9457) tells of.
func refusal(status string, text []byte) error {
	var problem struct {
		Detail string
		Errors []struct{ Location, Message string }
	}
	if json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		return fmt.Errorf("the answer is %s: is this a director?", status)
	}
	var b strings.Builder
	b.WriteString(problem.Detail)
	for _, e := range problem.Errors {
		b.WriteString("\n  ")
		if e.Location != "" {
			b.WriteString(e.Location + ": ")
		}
		b.WriteString(e.Message)
	}
	return errors.New(b.String())
}

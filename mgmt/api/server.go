package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Config says where the API listens and what it serves.
type Config struct {
	Listen      []string // "unix:/run/turnout.sock" or "host:port"
	SocketGroup string   // group that may open unix sockets, beside root
	TokenFile   string   // file with the bearer token; "" for none
	TLS         TLS      // for all TCP listeners; zero for none
	Director    Director
	Metrics     http.Handler // answers /metrics
	Log         *zap.Logger  // nil for none
}

// TLS names PEM files.
type TLS struct {
	Cert     string
	Key      string
	ClientCA string // who signs client certificates; "" to ask for none
}

const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second // gathering flows from busy lcores included
	idleTimeout   = time.Minute
	closeTimeout  = time.Second
	maxHeader     = 16 << 10 // bytes
)

// Server is the API on its listeners.
type Server struct {
	listeners []net.Listener
	http      *http.Server
	handlers  sync.WaitGroup // requests being answered
}

// Listen opens all listeners, or none, and serves nothing yet. Its errors say which listener cannot be had, and why.
func Listen(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	credentials, err := loadCredentials(cfg)
	if err != nil {
		return nil, err
	}
	ending, end := context.WithCancel(context.Background())
	handler, err := newHandler(cfg, ending.Done())
	if err != nil {
		end()
		return nil, err
	}
	s := &Server{}
	s.http = newHTTPServer(cfg, s.counted(credentials.guard(handler, cfg.Listen)))
	s.http.RegisterOnShutdown(end)
	for _, address := range cfg.Listen {
		l, err := listen(address, cfg, credentials)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("mgmt.listen %s: %w", address, err), s.Close())
		}
		s.listeners = append(s.listeners, l)
	}
	return s, nil
}

// counted notes who is being answered, so that Close can wait for them: closing connections does not end handlers, and
// what they read may be gone afterwards.
func (s *Server) counted(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handlers.Add(1)
		defer s.handlers.Done()
		handler.ServeHTTP(w, r)
	})
}

// newHandler is the API without its guard. Streams end when ending is closed.
func newHandler(cfg Config, ending <-chan struct{}) (http.Handler, error) {
	mux := http.NewServeMux()
	doc, err := document(newAPI(mux, cfg.Director, ending))
	if err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(doc) // the client may be gone
	})
	mux.Handle("GET /metrics", cfg.Metrics)
	return withProblems(mux), nil
}

func newHTTPServer(cfg Config, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          zap.NewStdLog(cfg.Log),                                   // broken handshakes, for the most part
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 is enough
	}
}

// Addresses are the listeners' addresses, in the order of Config.Listen.
func (s *Server) Addresses() []net.Addr {
	var addresses []net.Addr
	for _, l := range s.listeners {
		addresses = append(addresses, l.Addr())
	}
	return addresses
}

// Run serves until ctx is done, Close is called or a listener fails, and closes the server. It returns nil unless a
// listener failed or closing did.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, l := range s.listeners {
		go func() { cancel(s.http.Serve(l)) }()
	}
	<-ctx.Done()
	err := context.Cause(ctx)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return errors.Join(err, s.Close())
}

// Close ends streams, lets running requests end, for at most a second, closes all connections and removes unix sockets.
// It may be called more than once, and from another goroutine than Run.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	s.handlers.Wait()
	for _, l := range s.listeners {
		if closeErr := l.Close(); !errors.Is(closeErr, net.ErrClosed) {
			err = errors.Join(err, closeErr)
		}
	}
	return err
}

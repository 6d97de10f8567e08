package api

import (
	"context"
	"net"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Document is the OpenAPI document of all calls.
func Document() *huma.OpenAPI { return newAPI(http.NewServeMux(), nil, nil).OpenAPI() }

// HTTPServer is what serves a handler on all listeners.
var HTTPServer = newHTTPServer

// Handler is the guarded API as a client sees it that came in through a listener at local.
func Handler(cfg Config, local net.Addr) (http.Handler, error) {
	c, err := loadCredentials(cfg)
	if err != nil {
		return nil, err
	}
	h, err := newHandler(cfg, nil)
	if err != nil {
		return nil, err
	}
	g := c.guard(h, cfg.Listen)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local)))
	}), nil
}

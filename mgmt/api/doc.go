// Package api serves the director's configuration and state over HTTP: JSON calls under /v1, Prometheus metrics,
// the probes /healthz and /readyz, and the OpenAPI document of them all.
//
// A request passes guard.go (who may do what), then problem.go (unknown paths and methods), then the calls of
// read.go, write.go, drain.go, generations.go and events.go, which do nothing but translate between HTTP and the Director.
// server.go and listen.go hold the
// sockets, document.go the OpenAPI document.
package api

// Package health tells which real servers are up, by checking them from the director's own address (DIP) over ordinary
// sockets.
//
// A [Monitor] is given the whole list of targets by [Monitor.Set] whenever the desired state changes, and calls
// Config.Report on every change of a target between up and down. Reading order: health.go (what goes in and out),
// monitor.go (when a check runs), target.go (what its results mean), checker.go and the files named after types of check
// (what a check does on the wire).
package health

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"turnout/mgmt/probe"
	"turnout/mgmt/store"
)

// Key names a real server in one service.
type Key struct {
	Service    string
	RealServer netip.Addr
}

// Target is a real server of a service and the checks that it must all pass. Ports are resolved: none is 0.
// No check at all means the same as one of type none: always up.
type Target struct {
	Key
	Checks store.HealthChecks
	Path   Path
}

// Path is the probe of the way that clients' packets take, beside the checks of the RIP. The zero Path: there is none.
type Path struct {
	probe.Target
	Check  store.HealthCheck // when it runs and how it is counted: Interval, Timeout, Rise, Fall and Initial
	Counts bool              // it must pass like the checks; false: it is for the diagnosis alone
}

// Status is what the checks say of a target; Latency and Durations are those of the checks of the RIP. Counters never go backwards while the target's key is set.
type Status struct {
	Up        bool
	Since     time.Time     // last change of Up, or when the target was first set
	Proven    bool          // judged at least once; before that, down means not known yet
	LastError string        // why the first failing check failed last; empty once it passes again
	Latency   time.Duration // of the check run last, whatever its result
	Passed    uint64        // runs of checks that passed
	Failed    uint64        // runs of checks that failed
	Durations Histogram     // of all runs, passed and failed
	Diagnosis probe.Finding // by the last path probe and the last checks; its zero value: there was none
}

// Change says that a target went up or down.
type Change struct {
	Key
	Up     bool
	Reason string // one line, for people: "tcp port 80: connection refused"
}

// Diagnosed says that a target has another diagnosis than before. The first one is told only if something is wrong.
type Diagnosed struct {
	Key
	probe.Finding
}

// DialFunc opens a connection as [net.Dialer.DialContext] does. It must give up when ctx is done.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Config is what a Monitor needs. Source, Log and Report must be set.
type Config struct {
	Source  netip.Addr  // the DIP: every check comes from it
	Version string      // sent by http checks: "User-Agent: turnout-health/VERSION"
	Log     *zap.Logger // changes at info, each failed run of a check at debug

	// Report is called from one goroutine, once for every change, in the order of the changes. It may call State, All
	// and Set, but not Close. While it blocks, changes queue up and checks go on. A change of a target that Set has
	// removed meanwhile may still arrive.
	Report func(Change)

	// Path does one path probe, within ctx. Nil: there are none, whatever the targets say.
	Path func(ctx context.Context, t probe.Target) probe.Evidence

	// Diagnosed is called like Report, for every change of a diagnosis. It may be nil.
	Diagnosed func(Diagnosed)

	Exec  Exec           // the zero value turns exec checks off
	Roots *x509.CertPool // who signs certificates of real servers, for tests; nil: those whom the system trusts

	Dial DialFunc // replaces sockets bound to Source, for tests; nil otherwise
}

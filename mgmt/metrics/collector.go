// Package metrics exposes the director's counters to Prometheus.
//
// The data plane knows nothing of metrics: one Collector asks a Source for all numbers when it is scraped, and families.go
// says in one table what they are called. docs/metrics.md lists the same names for readers; a test compares.
package metrics

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options choose what is exposed.
type Options struct {
	RealServers bool // the series per real server, which may be many
}

// Collector reads a Source at every scrape.
type Collector struct {
	source  Source
	options Options
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector returns a Collector of source's numbers.
func NewCollector(source Source, options Options) *Collector {
	return &Collector{source, options}
}

// NewRegistry returns a registry of its own, not the global one, with source's numbers and those of the Go runtime and
// the process.
func NewRegistry(source Source, options Options) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		NewCollector(source, options),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// Handler answers scrapes of registry.
func Handler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry})
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range described(c.options) {
		ch <- d.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	r := c.source.Snapshot()
	emit(ch, director, r)
	emit(ch, build, r, r.Version)
	emit(ch, role, r.Active, "active")
	emit(ch, role, !r.Active, "standby")
	for _, v := range r.VIPConflicts {
		emit(ch, vipConflicts, v, v.Address, v.MAC, v.RealServer)
	}
	c.collectServices(ch, r.Services)
	if c.options.RealServers {
		for _, s := range r.ServerConflicts {
			emit(ch, serverConflicts, s, s.Address, s.MAC)
		}
	}
	for _, p := range r.Ports {
		emit(ch, ports, p, p.Name)
	}
	for _, l := range r.Lcores {
		collectLcore(ch, l)
	}
	for reason, n := range r.Drops {
		emit(ch, drops, n, reason)
	}
	for kind, n := range r.Punted {
		emit(ch, punted, n, kind)
	}
	for kind, n := range r.Events {
		emit(ch, happened, n, string(kind))
	}
}

func (c *Collector) collectServices(ch chan<- prometheus.Metric, all []Service) {
	for _, svc := range all {
		emit(ch, services, svc, svc.Name)
		if !c.options.RealServers {
			continue
		}
		for _, rs := range svc.RealServers {
			collectRealServer(ch, svc.Name, rs)
		}
	}
}

func collectRealServer(ch chan<- prometheus.Metric, service string, rs RealServer) {
	emit(ch, realServers, rs, service, rs.Address)
	if rs.Diagnosis != "" {
		emit(ch, diagnoses, true, service, rs.Address, rs.Diagnosis)
	}
	emit(ch, healthChecks, rs.ChecksPassed, service, rs.Address, "passed")
	emit(ch, healthChecks, rs.ChecksFailed, service, rs.Address, "failed")
	emitHistogram(ch, handshakeTime, rs.HandshakeTime, service, rs.Address)
	emitHistogram(ch, checkDuration, rs.CheckDuration, service, rs.Address)
}

func collectLcore(ch chan<- prometheus.Metric, l Lcore) {
	lcore := strconv.FormatUint(uint64(l.Lcore), 10)
	emit(ch, lcores, l, lcore)
	// The lcore polls on while the two are read: more empty polls than polls may be seen.
	emit(ch, polls, max(l.Polls, l.EmptyPolls)-l.EmptyPolls, lcore, "packets")
	emit(ch, polls, l.EmptyPolls, lcore, "empty")
	emitHistogram(ch, burstSize, l.BurstSize, lcore)
	emitHistogram(ch, pollGap, l.PollGap, lcore)
}

// emit sends the value of every family in t, with the labels' values.
func emit[T any](ch chan<- prometheus.Metric, families []family[T], t T, labels ...string) {
	for _, f := range families {
		kind := prometheus.GaugeValue
		if f.kind == "counter" {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(f.desc, kind, f.value(t), labels...)
	}
}

func emitHistogram(ch chan<- prometheus.Metric, d description, h Histogram, labels ...string) {
	buckets := make(map[float64]uint64, len(h.Bounds))
	for i, bound := range h.Bounds {
		buckets[bound] = h.Cumulative[i]
	}
	ch <- prometheus.MustNewConstHistogram(d.desc, h.Count, h.Sum, buckets, labels...)
}

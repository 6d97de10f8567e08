package metrics

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"turnout/mgmt/events"
)

var update = flag.Bool("update", false, "rewrite the golden files and the table of docs/metrics.md")

const documentation = "../../docs/metrics.md"

type fakeSource struct{}

func (fakeSource) Snapshot() *Reading {
	return &Reading{
		Version: "1.2.3", Generation: 7, LastApplySuccessful: true, Active: true,
		Services: []Service{{
			Name: "web", Packets: 101, Bytes: 102, Connections: 103, RescheduledFlows: 104, Quorum: true,
			RealServers: []RealServer{
				{
					Address: "192.168.57.121", Up: true, Weight: 1, Share: 0.5, Draining: true, Overloaded: true, Ejected: true, ActiveFlows: 111, InactiveFlows: 112, Packets: 113, Bytes: 114,
					Connections: 115, ChecksPassed: 116, ChecksFailed: 117,
					Diagnosis: "vip_not_on_real_server",
					Syns:      118, SynRetransmissions: 119, UnansweredSyns: 120, Resets: 121, Fins: 122,
					HandshakeTime: Histogram{Bounds: []float64{0.001, 0.002}, Cumulative: []uint64{90, 100}, Count: 101, Sum: 0.25},
					CheckDuration: Histogram{Bounds: []float64{0.001, 0.01}, Cumulative: []uint64{100, 110}, Count: 117, Sum: 1.5},
				},
				{Address: "192.168.57.122"},
			},
		}, {Name: "dns"}},
		VIPConflicts:    []Conflict{{Address: "192.168.57.100", MAC: "02:00:00:00:01:21", RealServer: "192.168.57.121"}},
		ServerConflicts: []Conflict{{Address: "192.168.57.121", MAC: "02:00:00:00:09:09"}},
		Ports: []Port{{
			Name: "lan", LinkUp: true, RxPackets: 201, RxBytes: 202, RxMissed: 203, RxNoMbuf: 204, TxPackets: 205, TxBytes: 206, TxDropped: 207,
		}},
		Lcores: []Lcore{{
			Lcore: 1, Polls: 310, EmptyPolls: 301, Busy: 0.25,
			BurstSize: Histogram{Bounds: []float64{1, 32, 64}, Cumulative: []uint64{4, 8, 9}, Count: 9, Sum: 200},
			PollGap:   Histogram{Bounds: []float64{1e-6, 1e-3}, Cumulative: []uint64{300, 309}, Count: 310, Sum: 0.5},
			Flows:     FlowTable{Entries: 321, Capacity: 322, Inserts: 323, Evictions: 324, Expirations: 325, Full: 326},
		}},
		Drops:    map[string]uint64{"no_service": 401, "loop": 0},
		Punted:   map[string]uint64{"arp": 411, "dip": 412},
		Events:   map[events.Kind]uint64{events.Health: 421, events.Link: 0},
		Injected: 501, Generated: 502, Consumed: 503, Held: 504, Persistence: Persistence{Entries: 505, Capacity: 506, Full: 507},
	}
}

func exposition(t *testing.T, o Options) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(fakeSource{}, o))
	return scrape(t, registry)
}

func scrape(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(registry).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update rewrites it:\n%s", path, diff)
	}
}

func TestExposition(t *testing.T) {
	golden(t, "testdata/exposition.txt", exposition(t, Options{RealServers: true}))
}

func TestWithoutRealServers(t *testing.T) {
	with, without := exposition(t, Options{RealServers: true}), exposition(t, Options{})
	if !strings.Contains(with, "real_server") {
		t.Errorf("no series per real server:\n%s", with)
	}
	for line := range strings.Lines(without) {
		if strings.Contains(line, "real_server") && !strings.Contains(line, "turnout_vip_conflict") { // an alarm, not a series each
			t.Errorf("a series per real server: %s", line)
		}
		if !strings.HasPrefix(line, "promhttp_") && !strings.Contains(with, line) {
			t.Errorf("only without real servers: %s", line)
		}
	}
}

func TestRegistryHasRuntimeAndProcess(t *testing.T) {
	text := scrape(t, NewRegistry(fakeSource{}, Options{RealServers: true}))
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "turnout_config_generation"} {
		if !strings.Contains(text, "\n"+name+" ") {
			t.Errorf("no %s", name)
		}
	}
}

func TestLint(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(exposition(t, Options{RealServers: true}))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// promtool runs Prometheus's tool, and returns what it says. Without it a test is skipped, and in CI it fails.
func promtool(t *testing.T, stdin io.Reader, args ...string) string {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	switch {
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "true":
		t.Fatal("promtool is missing: apt-get install prometheus")
	case err != nil:
		t.Skip("promtool is missing: apt-get install prometheus")
	}
	cmd := exec.Command(tool, args...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestPromtool(t *testing.T) {
	text := scrape(t, NewRegistry(fakeSource{}, Options{RealServers: true}))
	if out := promtool(t, strings.NewReader(text), "check", "metrics"); out != "" {
		t.Errorf("promtool check metrics: %s", out)
	}
}

const (
	tableBegin = "<!-- metrics: begin -->\n"
	tableEnd   = "<!-- metrics: end -->\n"
)

// The table of docs/metrics.md is what the registry says.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := bytes.Cut(text, []byte(tableBegin))
	_, after, ended := bytes.Cut(rest, []byte(tableEnd))
	if !found || !ended {
		t.Fatalf("%s: no table between %q and %q", documentation, tableBegin, tableEnd)
	}
	golden(t, documentation, string(before)+tableBegin+table()+tableEnd+string(after))
}

func table() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, d := range described(Options{RealServers: true}) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.kind, strings.Join(d.labels, ", "), d.help)
	}
	return b.String()
}

// What is described is what is collected, so that the documentation leaves out nothing.
func TestDescribedIsCollected(t *testing.T) {
	text := exposition(t, Options{RealServers: true})
	collected := strings.Count(text, "# TYPE turnout_")
	if described := len(described(Options{RealServers: true})); described != collected {
		t.Errorf("%d metrics are described, %d collected", described, collected)
	}
}

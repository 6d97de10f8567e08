package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestMetricsOverTCP(t *testing.T) {
	d := startDirector(t, settings{services: web, listen: `, "127.0.0.1:9180"`})
	d.waitServers("web", "up", 3)
	const visits = 20
	for range visits {
		if _, err := fetch(context.Background(), d.segment.client.visitor(), webURL); err != nil {
			t.Fatal(err)
		}
	}
	local := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: d.host.dialContext}}
	text, err := fetch(context.Background(), local, "http://127.0.0.1:9180/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range documentedMetrics(t) {
		if !strings.Contains(text, "\n# TYPE "+name+" ") {
			t.Errorf("the documented metric %s is not there", name)
		}
	}
	for _, series := range []string{
		fmt.Sprintf(`turnout_service_connections_total{service="web"} %d`, visits), `turnout_role{role="active"} 1`,
		`turnout_real_server_up{real_server="192.168.57.121",service="web"} 1`, `turnout_port_link_up{port="lan"} 1`,
	} {
		if !strings.Contains(text, "\n"+series+"\n") {
			t.Errorf("there is no series %s", series)
		}
	}
	checkByPromtool(t, text)
}

// documentedMetrics are the names of docs/metrics.md whose series are always there.
func documentedMetrics(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile("(?m)^\\| `(turnout_[a-z_]+)` \\|").FindAllSubmatch(text, -1) {
		if name := string(match[1]); !strings.HasSuffix(name, "_conflict") { // which is there while there is one
			names = append(names, name)
		}
	}
	if len(names) < 30 {
		t.Fatalf("only %d metrics are documented: has the page changed its form?", len(names))
	}
	return names
}

func checkByPromtool(t *testing.T, text string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs promtool (package prometheus)")
		}
		t.Skip("needs promtool (package prometheus)")
	}
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(text + "\n")
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func TestTCPWithoutTokenMayOnlyRead(t *testing.T) {
	d := startDirector(t, settings{services: web, listen: `, "127.0.0.1:9180"`})
	local := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: d.host.dialContext}}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/healthz", "", 200},
		{"GET", "/readyz", "", 200},
		{"GET", "/openapi.json", "", 200},
		{"GET", "/v1/status", "", 200},
		{"PUT", "/v1/role", `{"role":"standby"}`, 403},
		{"PUT", "/v1/services", `{"services":[]}`, 403},
		{"DELETE", "/v1/services/web", "", 403},
		{"DELETE", "/v1/services/web/real-servers/192.168.57.121", "", 403},
	} {
		request, err := http.NewRequest(c.method, "http://127.0.0.1:9180"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		answer, err := local.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != c.status {
			t.Errorf("%s %s: status %d, want %d: %s", c.method, c.path, answer.StatusCode, c.status, text)
		}
	}
	if s := d.status(); s.Role != "active" || s.Generation != 1 {
		t.Errorf("the refused calls changed the role to %s, the generation to %d", s.Role, s.Generation)
	}
}

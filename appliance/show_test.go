package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
)

// serveDirector runs the real API with a made-up director behind it on a unix socket, and returns --server for it.
func serveDirector(t *testing.T, d *apitest.Director) string {
	t.Helper()
	server := "unix:" + filepath.Join(t.TempDir(), "turnout.sock")
	s, err := api.Listen(api.Config{Listen: []string{server}, Director: d, Metrics: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-ran); err != nil {
			t.Error(err)
		}
	})
	return server
}

const servicesYAML = `services:
  - name: dns
    vip: 192.168.57.101
    protocol: udp
    port: 53
    real_servers:
      - {address: 192.168.57.123}
`

func writeServices(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "services.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTables(t *testing.T) {
	services := writeServices(t, servicesYAML)
	for _, c := range []struct {
		golden string
		args   []string
	}{
		{"status", []string{"status"}},
		{"services", []string{"services"}},
		{"real-servers", []string{"real-servers"}},
		{"flows", []string{"flows"}},
		{"flows-limit", []string{"flows", "--limit", "1", "--service", "web", "--client", "192.168.57.135", "--real-server", "192.168.57.121"}},
		{"ports", []string{"ports"}},
		{"lcores", []string{"lcores"}},
		{"neighbours", []string{"neighbours"}},
		{"drops", []string{"drops"}},
		{"role", []string{"role"}},
		{"role-standby", []string{"role", "standby"}},
		{"apply", []string{"apply", "-f", services}},
		{"drain", []string{"drain", "web", "192.168.57.121", "--deadline", "10m", "--then", "reschedule"}},
		{"drain-without-deadline", []string{"drain", "web", "192.168.57.121"}},
		{"undrain", []string{"undrain", "web", "192.168.57.121"}},
		{"drains-none", []string{"drains"}},
		{"generations", []string{"generations"}},
		{"persistence", []string{"persistence", "--limit", "1", "--service", "web", "--client", "192.0.2.7", "--real-server", "192.168.57.121"}},
		{"explain", []string{"explain", "--protocol", "tcp", "--packet", "syn", "--src", "192.168.57.135:40000", "--dst", "192.168.57.100:80"}},
	} {
		t.Run(c.golden, func(t *testing.T) {
			got, err := turnout(append(c.args, "--server", serveDirector(t, apitest.New()))...)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join("testdata", c.golden+".txt"), got)
		})
	}
}

func compareGolden(t *testing.T, path, got string) {
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

func TestStatusOfADirectorInTrouble(t *testing.T) {
	d := apitest.New()
	d.NotReady = []string{"port lan has no link"}
	got, err := turnout("status", "--server", serveDirector(t, d))
	if err != nil || !strings.Contains(got, "no: port lan has no link") {
		t.Errorf("%v\n%s", err, got)
	}
}

// -o json is the API's answer, -o yaml the same structure.
func TestMachineFormats(t *testing.T) {
	server := serveDirector(t, apitest.New())
	for command, path := range map[string]string{
		"status": "/v1/status", "services": "/v1/services", "real-servers": "/v1/services", "flows": "/v1/flows", "persistence": "/v1/persistence", "ports": "/v1/ports",
		"lcores": "/v1/lcores", "neighbours": "/v1/neighbours", "role": "/v1/role", "drops": "/v1/drops", "drains": "/v1/services",
		"generations": "/v1/generations",
	} {
		asked, err := (&clientFlags{server: server}).dial()
		if err != nil {
			t.Fatal(err)
		}
		answer, err := asked.call(context.Background(), http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		var want, fromJSON, fromYAML any
		parse(t, json.Unmarshal, answer, &want)
		parse(t, json.Unmarshal, printed(t, command, "-o", "json", "--server", server), &fromJSON)
		parse(t, yaml.Unmarshal, printed(t, command, "-o", "yaml", "--server", server), &fromYAML)
		if diff := cmp.Diff(want, fromJSON); diff != "" {
			t.Errorf("%s -o json (-answer +printed):\n%s", command, diff)
		}
		if diff := cmp.Diff(want, numbersAsJSON(fromYAML)); diff != "" {
			t.Errorf("%s -o yaml (-answer +printed):\n%s", command, diff)
		}
	}
}

func printed(t *testing.T, args ...string) []byte {
	t.Helper()
	got, err := turnout(args...)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(got)
}

func parse(t *testing.T, unmarshal func([]byte, any) error, text []byte, into any) {
	t.Helper()
	if err := unmarshal(text, into); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
}

// numbersAsJSON makes integers the floats that JSON readers make of them.
func numbersAsJSON(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = numbersAsJSON(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbersAsJSON(v[k])
		}
	}
	return v
}

func TestYAMLKeepsOrderAndNumbers(t *testing.T) {
	var out bytes.Buffer
	if err := printYAML(&out, []byte(`{"b":18446744073709551615,"a":[{"mac":"12:00:00:00:01:22"}],"e":[],"s":"yes"}`)); err != nil {
		t.Fatal(err)
	}
	want := "b: 18446744073709551615\na:\n  - mac: \"12:00:00:00:01:22\"\ne: []\ns: \"yes\"\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestApplyChangesTheDirector(t *testing.T) {
	d := apitest.New()
	server := serveDirector(t, d)
	file := writeServices(t, servicesYAML)
	if _, err := turnout("apply", "-f", file, "--dry-run", "--server", server); err != nil || d.State().Services[0].Name != "web" {
		t.Fatalf("--dry-run: %v, state %v", err, d.State())
	}
	if _, err := turnout("apply", "-f", file, "--server", server); err != nil || d.State().Services[0].Name != "dns" {
		t.Fatalf("%v, state %v", err, d.State())
	}
}

func TestRoleChangesTheDirector(t *testing.T) {
	d := apitest.New()
	if _, err := turnout("role", "standby", "--server", serveDirector(t, d)); err != nil || d.Role() != api.RoleStandby {
		t.Errorf("%v, role %s", err, d.Role())
	}
}

// Every failure is one clear sentence, or one and a list, and has its exit code.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	server := serveDirector(t, apitest.New())
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	bad := writeServices(t, strings.Replace(servicesYAML, "port: 53", "prot: 53", 1))
	refused := writeServices(t, servicesYAML)
	for _, c := range []struct {
		name string
		args []string
		exit int
		says string
	}{
		{"no socket", []string{"status", "--server", "unix:" + dir + "/none.sock"}, 1,
			"cannot reach the director at unix:" + dir + "/none.sock: is turnout running, and is this its socket (mgmt.listen)? no such file or directory"},
		{"dead socket", []string{"status", "--server", "unix:" + stale}, 1, "is turnout running, and is this its socket (mgmt.listen)? connection refused"},
		{"nobody listens", []string{"status", "--server", "http://127.0.0.1:1"}, 1, "is turnout running, and does it listen there (mgmt.listen)? connection refused"},
		{"no scheme", []string{"status", "--server", "localhost"}, 2, "want unix:/path, http://host:port or https://host:port"},
		{"no URL", []string{"status", "--server", "http://[::1"}, 2, "--server http://[::1"},
		{"no token file", []string{"status", "--server", "http://127.0.0.1:1", "--token-file", dir + "/none"}, 1, "--token-file"},
		{"no CA file", []string{"status", "--server", "https://127.0.0.1:1", "--ca-file", dir + "/none"}, 1, "--ca-file"},
		{"CA file without certificate", []string{"status", "--server", "https://127.0.0.1:1", "--ca-file", bad}, 1, "holds no PEM certificate"},
		{"no key file", []string{"status", "--server", "https://127.0.0.1:1", "--cert-file", dir + "/none"}, 1, "--cert-file and --key-file"},
		{"unknown flag", []string{"status", "--colour"}, 2, "unknown flag: --colour"},
		{"unknown format", []string{"status", "-o", "xml"}, 2, "want table, json or yaml"},
		{"argument too many", []string{"status", "now"}, 2, "now"},
		{"no such role", []string{"role", "king", "--server", server}, 2, "king"},
		{"watch JSON", []string{"services", "--watch", "-o", "json", "--server", server}, 2, "--watch shows a table: leave out -o"},
		{"watch too often", []string{"services", "--watch=1ms", "--server", server}, 2, "--watch 1ms: want at least 100ms"},
		{"watch nobody", []string{"services", "--watch", "--server", "unix:" + stale}, 1, "cannot reach the director"},
		{"drain without address", []string{"drain", "web", "--server", server}, 2, "want SERVICE and ADDRESS, got 1 arguments"},
		{"drain no address", []string{"drain", "web", "rs1", "--server", server}, 2, `"rs1" is no address of a real server: turnout real-servers lists them`},
		{"drain no such service", []string{"drain", "wbe", "192.168.57.121", "--server", server}, 1, `service "wbe": not found`},
		{"drain for no time", []string{"drain", "web", "192.168.57.121", "--deadline", "soon"}, 2, `"soon" is not a duration`},
		{"drain and then what", []string{"drain", "web", "192.168.57.121", "--then", "pray", "--server", server}, 1, "body.then: "},
		{"undrain no such server", []string{"undrain", "web", "192.168.57.129", "--server", server}, 1, "real server 192.168.57.129"},
		{"rollback to no number", []string{"rollback", "back", "--server", server}, 2, `"back" is no generation's number: turnout generations lists them`},
		{"rollback to nowhere", []string{"rollback", "99", "--server", server}, 1, "generation 99: not found"},
		{"no such events", []string{"events", "--kind", "weather", "--server", server}, 1, "query.kind: "},
		{"events of nobody", []string{"events", "--server", "unix:" + stale}, 1, "cannot reach the director"},
		{"completion of no shell", []string{"completion", "ksh"}, 2, "ksh"},
		{"manual without a folder", []string{"man"}, 2, "accepts 1 arg(s)"},
		{"explain without --dst", []string{"explain", "--src", "192.168.57.135:40000", "--server", server}, 2, "--src and --dst are needed"},
		{"limit no number", []string{"flows", "--limit", "many"}, 2, "--limit"},
		{"limit too high", []string{"flows", "--limit", "20000", "--server", server}, 1, "query.limit: "},
		{"client no address", []string{"flows", "--client", "me", "--server", server}, 1, "query.client: "},
		{"apply without file", []string{"apply", "--server", server}, 2, "-f FILE is missing"},
		{"apply a file that is not there", []string{"apply", "-f", dir + "/none", "--server", server}, 1, "cannot read the services"},
		{"apply a bad file", []string{"apply", "-f", bad, "--server", server}, 1, bad + ":5: services[dns].prot: unknown key"},
		{"apply without director", []string{"apply", "-f", refused, "--server", "unix:" + stale}, 1, "cannot reach the director"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := turnout(c.args...)
			if err == nil {
				t.Fatalf("no error:\n%s", out)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q, want %q in it", err, c.says)
			}
			if got := exitCode(err); got != c.exit {
				t.Errorf("exit code %d, want %d", got, c.exit)
			}
			if out != "" {
				t.Errorf("it prints beside the error:\n%s", out)
			}
		})
	}
}

func TestNoDirector(t *testing.T) {
	s := &http.Server{Handler: http.NotFoundHandler()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	defer s.Close()
	if _, err := turnout("status", "--server", "http://"+l.Addr().String()); err == nil || err.Error() != "the answer is 404 Not Found: is this a director?" {
		t.Errorf("error %v", err)
	}
}

func TestToken(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := apitest.New()
	s, err := api.Listen(api.Config{Listen: []string{"127.0.0.1:0"}, TokenFile: file, Director: d, Metrics: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(context.Background()) }()
	defer func() { _ = errors.Join(s.Close(), <-ran) }()
	server := "http://" + s.Addresses()[0].String() + "/"
	if _, err := turnout("role", "standby", "--server", server); err == nil || !strings.Contains(err.Error(), "needs the bearer token") {
		t.Errorf("without token: %v", err)
	}
	if _, err := turnout("role", "standby", "--server", server, "--token-file", file); err != nil || d.Role() != api.RoleStandby {
		t.Errorf("with token: %v, role %s", err, d.Role())
	}
}

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		inBytes(0): "0 B", inBytes(999): "999 B", inBytes(1000): "1.0 kB", inBytes(999_949): "999.9 kB", inBytes(999_950): "1.0 MB",
		inBytes(5_678_901): "5.7 MB", inBytes(1<<64 - 1): "18.4 EB",
		inTime(0): "0s", inTime(0.4): "0s", inTime(59.6): "1m", inTime(3661): "1h1m1s", inTime(93784): "1d2h3m4s", inTime(86400): "1d",
		inPercent(0.1234): "12.3 %", inSpeed(0): "", inSpeed(10000): "10 Gbit/s", inSpeed(2500): "2500 Mbit/s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// turnout runs a command that ends by itself.
func turnout(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(executable, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestCommandsShowARunningDirector(t *testing.T) {
	s := needSegment(t)
	s.serveEcho(t, echoPort)
	d := startDirector(t, settings{services: echo})
	d.waitServers("echo", "up", 2)
	s.client.connectMany(t, 3, "192.168.57.100:7")
	for command, word := range map[string]string{ // what each must tell
		"status": "192.168.57.100", "services": "echo", "real-servers": "192.168.57.122", "flows": clientAddress.String(), "ports": d.mac,
		"lcores": "adaptive", "neighbours": s.servers[0].mac, "drops": "no_service", "role": "active",
	} {
		t.Run(command, func(t *testing.T) {
			for format, valid := range map[string]func([]byte) bool{
				"table": func(b []byte) bool { return !json.Valid(b) },
				"json":  json.Valid,
				"yaml":  func(b []byte) bool { var v any; return yaml.Unmarshal(b, &v) == nil && !json.Valid(b) },
			} {
				out, errs, code := turnout(t, command, "-o", format, "--server", "unix:"+d.socket())
				if code != 0 || errs != "" {
					t.Errorf("-o %s: exit code %d, %s", format, code, errs)
				}
				if !valid([]byte(out)) || !strings.Contains(out, word) {
					t.Errorf("-o %s: no valid %s with %q in it:\n%s", format, format, word, out)
				}
			}
		})
	}
}

func TestCommandsChangeARunningDirector(t *testing.T) {
	d := startDirector(t, settings{services: web})
	server := "unix:" + d.socket()
	d.write("next.yaml", echo)
	before := d.status().Generation
	if out, errs, code := turnout(t, "apply", "-f", d.file("next.yaml"), "--dry-run", "--server", server); code != 0 || !strings.Contains(out, "echo") {
		t.Errorf("apply --dry-run: exit code %d: %s%s", code, out, errs)
	}
	if got := d.status().Generation; got != before {
		t.Errorf("apply --dry-run made generation %d of %d", got, before)
	}
	if out, errs, code := turnout(t, "apply", "-f", d.file("next.yaml"), "--server", server); code != 0 {
		t.Errorf("apply: exit code %d: %s%s", code, out, errs)
	}
	d.waitServers("echo", "up", 0) // nobody echoes here
	if text, err := os.ReadFile(d.file("services.yaml")); err != nil || !strings.Contains(string(text), "name: echo") || strings.Contains(string(text), "name: web") {
		t.Errorf("what was applied is not what is on disk: %v\n%s", err, text)
	}
	for _, role := range []string{"standby", "active"} {
		if out, errs, code := turnout(t, "role", role, "--server", server); code != 0 || string(d.status().Role) != role {
			t.Errorf("role %s: exit code %d, the role is %s: %s%s", role, code, d.status().Role, out, errs)
		}
	}
	d.waitReady()
}

func TestExitCodesOfCommands(t *testing.T) {
	needSegment(t) // for the folder with turnout in it
	d := newDirector(t, settings{services: web})
	bad := newDirector(t, settings{services: strings.Replace(web, "port: 80", "prot: 80", 1)})
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"version", 0, "turnout "},
		{"--help", 0, "Usage:"},
		{"check -c " + d.file("turnout.yaml"), 0, "no mistakes"},
		{"check -c " + bad.file("turnout.yaml"), 1, `services.yaml:5: services[web].prot: unknown key: did you mean "port"?`},
		{"check -c /nowhere.yaml", 1, "/nowhere.yaml"},
		{"status --server unix:/nowhere.sock", 1, "cannot reach the director at unix:/nowhere.sock: is turnout running"},
		{"status --server http://127.0.0.1:1", 1, "cannot reach the director at http://127.0.0.1:1: is turnout running"},
		{"status --nonsense", 2, "unknown flag: --nonsense"},
		{"status -o xml", 2, "xml"},
		{"status extra", 2, "extra"},
		{"nonsense", 2, "nonsense"},
		{"role sideways", 2, "sideways"},
		{"run --nonsense", 2, "unknown flag: --nonsense"},
	} {
		out, errs, code := turnout(t, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("turnout %s: exit code %d, want %d; %q is to be said in:\n%s%s", c.args, code, c.code, c.says, out, errs)
		}
		if c.code != 0 && strings.Count(errs, "turnout: ") != 1 {
			t.Errorf("turnout %s: want one error on standard error:\n%s", c.args, errs)
		}
	}
}

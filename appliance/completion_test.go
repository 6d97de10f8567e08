package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"turnout/mgmt/api/apitest"
)

// offered is what cobra's hidden command, which the shells' scripts call, offers for a command line.
func offered(t *testing.T, args ...string) []string {
	t.Helper()
	var out, errs bytes.Buffer
	if err := turnoutTo(t.Context(), &out, &errs, nil, append([]string{"__complete"}, args...)...); err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(out.String())
	if n := len(words); n == 0 || words[n-1] != ":36" && words[n-1] != ":4" { // no file names, with or without the order kept
		t.Errorf("%q: directive in %q", args, words)
	}
	return words[:max(len(words)-1, 0)]
}

func TestCompletion(t *testing.T) {
	server := serveDirector(t, apitest.New())
	mustPrint(t, server, "apply -f "+writeServices(t, servicesYAML)) // generation 8: dns with 192.168.57.123
	for _, c := range []struct {
		line string // up to the word that is completed
		want []string
	}{
		{"drain |", []string{"dns"}},
		{"drain w|", nil},
		{"drain dns |", []string{"192.168.57.123"}},
		{"undrain dns 192.168.57.1|", []string{"192.168.57.123"}},
		{"undrain dns 10.|", nil},
		{"drain dns 192.168.57.123 |", nil},
		{"drain dns 192.168.57.123 --then |", []string{"keep", "reschedule", "drop"}},
		{"rollback |", []string{"7"}},
		{"rollback 7 |", nil},
		{"flows --service |", []string{"dns"}},
		{"flows --real-server |", []string{"192.168.57.123"}},
		{"flows --service web --real-server |", nil},
		{"status -o |", []string{"table", "json", "yaml"}},
		{"status |", nil},
		{"role |", []string{"active", "standby"}},
		{"events --kind h|", []string{"health"}},
		{"completion |", []string{"bash", "zsh", "fish"}},
		{"import |", []string{"ipvsadm", "keepalived", "ldirectord"}},
	} {
		args := strings.Split(strings.TrimSuffix(c.line, "|"), " ")
		if !strings.HasPrefix(c.line, "completion") && !strings.HasPrefix(c.line, "import") {
			args = slices.Insert(args, 1, "--server", server)
		}
		if got := offered(t, args...); !slices.Equal(got, c.want) {
			t.Errorf("turnout %s: offers %q, want %q", c.line, got, c.want)
		}
	}
}

// A shell shall not show errors while somebody types.
func TestCompletionWithoutADirectorIsSilent(t *testing.T) {
	for _, server := range []string{"unix:" + filepath.Join(t.TempDir(), "none.sock"), "http://127.0.0.1:1", "nonsense"} {
		if got := offered(t, "drain", "--server", server, ""); len(got) > 0 {
			t.Errorf("%s: %q", server, got)
		}
	}
}

// The scripts are whole for their shells, as far as the shells are here to tell.
func TestCompletionScripts(t *testing.T) {
	for shell, begins := range map[string]string{"bash": "# bash completion", "zsh": "#compdef turnout", "fish": "# fish completion"} {
		script, err := turnout("completion", shell)
		if err != nil || !strings.HasPrefix(script, begins) || !strings.Contains(script, "__complete") {
			t.Errorf("completion %s: %v, begins with %q", shell, err, script[:min(len(script), 40)])
		}
		if _, err := exec.LookPath(shell); err != nil {
			continue
		}
		check := exec.Command(shell, "-n")
		check.Stdin = strings.NewReader(script)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v\n%s", shell, err, out)
		}
	}
}

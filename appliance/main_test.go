package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// asTurnout has the test's binary be turnout itself: a test of the whole program need not build it again.
const asTurnout = "TEST_BINARY_IS_TURNOUT"

func TestMain(m *testing.M) {
	if os.Getenv(asTurnout) != "" {
		main()
		return
	}
	time.Local = time.UTC // golden files hold times
	code := m.Run()
	if left := exercised.missing(newRootCommand()); code == 0 && allTestsRan() && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "no test runs these without an error: %s\n", strings.Join(left, ", "))
		code = 1
	}
	os.Exit(code)
}

// allTestsRan tells whether nothing was left out on the command line.
func allTestsRan() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz", "test.bench"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return true
}

// turnoutProcess is turnout as a process of its own. Its command line counts as exercised.
func turnoutProcess(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	exercised.note(args)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), asTurnout+"=1")
	return cmd
}

// turnoutTo runs a command until it ends by itself, or ctx does.
func turnoutTo(ctx context.Context, out, errs io.Writer, in io.Reader, args ...string) error {
	root := newRootCommand()
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		exercised.note(args)
	}
	return err
}

// turnout runs a command and returns what it prints.
func turnout(args ...string) (string, error) {
	var out bytes.Buffer
	err := turnoutTo(context.Background(), &out, &out, strings.NewReader(""), args...)
	return out.String(), err
}

// exercises are the commands and flags that tests have run: "drain", "drain --deadline".
type exercises struct {
	mu   sync.Mutex
	seen map[string]bool
}

var exercised = exercises{seen: map[string]bool{}}

// note reads a command line as turnout does.
func (e *exercises) note(args []string) {
	cmd, rest, err := newRootCommand().Find(args)
	if err != nil || cmd.ParseFlags(rest) != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen[cmd.Name()] = true
	cmd.Flags().Visit(func(f *pflag.Flag) { e.seen[cmd.Name()+" --"+f.Name] = true })
}

// everywhere are the flags that are the same for all client commands: one of these has to try them.
var everywhere = []string{"server", "token-file", "ca-file", "cert-file", "key-file", "output"}

// missing lists the commands and flags that no test has run.
func (e *exercises) missing(root *cobra.Command) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	left := map[string]bool{}
	for _, cmd := range root.Commands() {
		left[cmd.Name()] = !e.seen[cmd.Name()]
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			name := cmd.Name() + " --" + f.Name
			if !slices.Contains(everywhere, f.Name) {
				left[name] = !e.seen[name]
				return
			}
			anyone := "any command --" + f.Name
			if _, known := left[anyone]; !known {
				left[anyone] = true
			}
			left[anyone] = left[anyone] && !e.seen[name]
		})
	}
	maps.DeleteFunc(left, func(_ string, missing bool) bool { return !missing })
	return slices.Sorted(maps.Keys(left))
}

// TestMissingExercisesAreFound has the check of TestMain find something.
func TestMissingExercisesAreFound(t *testing.T) {
	e := exercises{seen: map[string]bool{}}
	e.note([]string{"drain", "web", "192.168.57.121", "--deadline", "1m", "-o", "json"})
	e.note([]string{"status", "--no-such-flag"})
	left := e.missing(newRootCommand())
	for name, want := range map[string]bool{
		"drain": false, "drain --deadline": false, "drain --then": true, "any command --output": false, "any command --ca-file": true, "status": true,
	} {
		if got := slices.Contains(left, name); got != want {
			t.Errorf("%s is missing: %t, want %t", name, got, want)
		}
	}
}

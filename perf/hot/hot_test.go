// Package hot_test asks the compiler what it made of the code that runs for every packet or burst: nothing in it may
// escape to the heap, and the bounds checks left in it are listed in bounds.txt.
package hot_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write bounds.txt anew")

const (
	root   = "../.."
	bounds = "bounds.txt"
)

// hot lists by file the functions that run for every packet or burst; no names stand for all of them.
var hot = map[string][]string{
	"lcore/forward.go":         nil,
	"lcore/schedule.go":        nil,
	"lcore/persist.go":         nil,
	"lcore/handshake.go":       nil,
	"lcore/limits.go":          nil,
	"lcore/blackbox.go":        {"(*blackBox).refill", "(*blackBox).note", "(*Worker).record", "(*Worker).describe", "(*Snapshot).keyOf", "(*keptSlot).write"},
	"lcore/capture.go":         {"(*Capture).before", "(*Capture).after", "(*Capture).wants", "(*Capture).at", "(*Worker).portray", "(*Worker).pendingFrame"},
	"lcore/worker.go":          {"(*Worker).Run", "(*Worker).yield", "(*Worker).turn", "(*Worker).tidy", "(*Worker).count"},
	"lcore/lookup.go":          {"(*lookup).find", "(*lookup).start"},
	"lcore/counters.go":        {"(*RealCounters).add"},
	"lcore/clock.go":           {"clock.read"},
	"lcore/mailbox.go":         {"(*Worker).answer"},
	"lcore/ring.go":            {"(*Ring).Put", "(*Ring).slot"},
	"lcore/frame/ipv4.go":      nil,
	"lcore/frame/plain.go":     nil,
	"lcore/frame/transport.go": nil,
	"lcore/frame/ethernet.go":  {"EthernetAt", "(*Ethernet).Destination", "(*Ethernet).Source", "(*Ethernet).Type", "MAC.Group", "MAC.Word"},
	"flowtable/table.go":       nil,
	"flowtable/bucket.go":      nil,
	"flowtable/insert.go":      nil,
	"flowtable/left.go":        nil,
	"flowtable/sweep.go":       nil,
	"flowtable/templates.go":   {"ClientOf", "(*Templates).query", "(*Templates).Find", "(*Templates).Bind", "(*Templates).Release", "(*query).made", "(*query).search", "(*template).finish"},
	"flowtable/flow.go":        nil,
	"flowtable/state.go":       {"State.Next", "State.Steady", "State.Reusable", "State.evictable"},
	"sched/table.go":           nil,
}

// A remark is what the compiler says of a place in a hot function.
type remark struct{ file, function, text string }

func TestNothingEscapes(t *testing.T) {
	for _, r := range remarks(t) {
		if strings.Contains(r.text, "escapes to heap") || strings.HasPrefix(r.text, "moved to heap") {
			t.Errorf("%s: %s: %s; the hot path must not allocate", r.file, r.function, r.text)
		}
	}
}

func TestBoundsChecks(t *testing.T) {
	count := map[string]int{}
	for _, r := range remarks(t) {
		if check, ok := strings.CutPrefix(r.text, "Found "); ok {
			count[r.file+" "+r.function+" "+check]++
		}
	}
	var got strings.Builder
	for _, line := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&got, "%s %d\n", line, count[line])
	}
	if *update {
		if err := os.WriteFile(bounds, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(bounds)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("bounds checks in hot functions differ from %s (-want +got): remove the new ones by masks, or, if that is meant: go test ./perf/hot -update\n%s", bounds, diff)
	}
}

// TestHotFunctionsExist keeps the list above true.
func TestHotFunctionsExist(t *testing.T) {
	for file, names := range hot {
		for _, name := range names {
			if !slices.ContainsFunc(functions(t, file), func(f function) bool { return f.name == name }) {
				t.Errorf("%s has no function %s", file, name)
			}
		}
	}
}

var place = regexp.MustCompile(`^(\S+\.go):(\d+):\d+: (.*)$`)

// remarks compiles the packages and returns what was said of hot functions, each place once.
func remarks(t *testing.T) (all []remark) {
	t.Helper()
	build := exec.Command("go", "build", "-gcflags=-m -d=ssa/check_bce/debug=1", "./lcore", "./lcore/frame", "./flowtable", "./sched")
	build.Dir = root
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		m := place.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || seen[line] {
			continue
		}
		seen[line] = true
		file := filepath.ToSlash(filepath.Clean(m[1]))
		number, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := hotFunction(t, file, number); ok {
			all = append(all, remark{file, name, m[3]})
		}
	}
	if len(all) == 0 {
		t.Fatal("the compiler said nothing of any hot function: its output has another form than this test knows")
	}
	return all
}

// hotFunction names the hot function around a line.
func hotFunction(t *testing.T, file string, line int) (string, bool) {
	names, listed := hot[file]
	if !listed {
		return "", false
	}
	for _, f := range functions(t, file) {
		if f.first <= line && line <= f.last {
			return f.name, names == nil || slices.Contains(names, f.name)
		}
	}
	return "", false
}

// A function of a file, and its lines.
type function struct {
	name        string
	first, last int
}

var parsed = map[string][]function{}

func functions(t *testing.T, file string) []function {
	t.Helper()
	if parsed[file] != nil {
		return parsed[file]
	}
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, filepath.Join(root, file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range tree.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			parsed[file] = append(parsed[file], function{fullName(f), files.Position(f.Pos()).Line, files.Position(f.End()).Line})
		}
	}
	return parsed[file]
}

// fullName is (*T).Name, T.Name or Name.
func fullName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := types.ExprString(f.Recv.List[0].Type)
	if strings.HasPrefix(receiver, "*") {
		receiver = "(" + receiver + ")"
	}
	return receiver + "." + f.Name.Name
}

// Package turnout_test holds the rules of the house, which belong to no package of it.
package turnout_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A rule says what the files of some packages may import directly.
type rule struct {
	text string
	in   func(pkg string) bool // the packages that it binds
	ok   func(imported string) bool
}

const module = "turnout"

var rules = []rule{
	{
		"sched, flowtable and lcore/frame import the standard library only and never each other",
		is("sched", "flowtable", "lcore/frame"), standard,
	},
	{
		"lcore imports of turnout only flowtable, lcore/frame and sched, else the standard library",
		is("lcore"), either(standard, turnout("flowtable", "lcore/frame", "sched")),
	},
	{
		"lcore and lcore/frame do not format, log, tell the time or reach the network: they run on a polling thread",
		is("lcore", "lcore/frame"), not(is("fmt", "log", "log/slog", "time", "net", "net/http")),
	},
	{
		"lcore/port imports of turnout only lcore: the data plane does not know its management",
		under("lcore/port"), either(foreign, turnout("lcore", "lcore/frame", "lcore/port")),
	},
	{
		"mgmt imports of turnout only mgmt, sched, flowtable, lcore and lcore/frame, never lcore/port: ports are handed to it",
		under("mgmt"), either(foreign, turnout("sched", "flowtable", "lcore", "lcore/frame"), turnoutUnder("mgmt")),
	},
	{
		"nobody imports appliance",
		anywhere, not(turnoutUnder("appliance")),
	},
	{
		"only lcore/port, third_party and perf use cgo",
		outside("lcore/port", "third_party", "perf"), not(is("C")),
	},
	{
		"only lcore/port, appliance and perf see DPDK",
		outside("lcore/port", "appliance", "third_party", "perf"), not(under("github.com/yerden/go-dpdk")),
	},
}

// TestImports reads the imports of every file; tests may import what they like.
func TestImports(t *testing.T) {
	files := 0
	for _, i := range imports(t) {
		files++
		for _, r := range rules {
			if r.in(i.pkg) && !r.ok(i.path) {
				t.Errorf("%s imports %s, but %s", i.file, i.path, r.text)
			}
		}
	}
	if files == 0 {
		t.Error("no imports were found: the test looks in the wrong place")
	}
}

// TestImportRulesCanFail gives each rule an import that it must refuse, and one that it must let pass.
func TestImportRulesCanFail(t *testing.T) {
	for i, c := range []struct{ pkg, bad, good string }{
		{"sched", "turnout/flowtable", "math/bits"},
		{"lcore", "github.com/spf13/viper", "turnout/sched"},
		{"lcore/frame", "time", "encoding/binary"},
		{"lcore/port/memory", "turnout/mgmt/punt", "turnout/lcore"},
		{"mgmt/punt", "turnout/lcore/port", "turnout/lcore/frame"},
		{"perf/loop", "turnout/appliance", "turnout/lcore"},
		{"mgmt/neigh", "C", "unsafe"},
		{"lcore", "github.com/yerden/go-dpdk/eal", "unsafe"},
	} {
		r := rules[i]
		if !r.in(c.pkg) || r.ok(c.bad) || !r.ok(c.good) {
			t.Errorf("%s: binds %s %v, lets %s pass %v, %s %v; want true, false, true",
				r.text, c.pkg, r.in(c.pkg), c.bad, r.ok(c.bad), c.good, r.ok(c.good))
		}
	}
}

// An imported path, and where it stands.
type imported struct {
	pkg  string // folder of the file, from the module's root
	file string
	path string
}

func imports(t *testing.T) (all []imported) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := entry.Name(); entry.IsDir() && (base == "testdata" || len(base) > 1 && strings.ContainsAny(base[:1], "._")) {
			return filepath.SkipDir
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return fmt.Errorf("read imports: %w", err)
		}
		for _, spec := range file.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
			}
			all = append(all, imported{filepath.ToSlash(filepath.Dir(name)), name, to})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func anywhere(string) bool { return true }

func under(folders ...string) func(string) bool {
	return func(pkg string) bool {
		for _, f := range folders {
			if pkg == f || strings.HasPrefix(pkg, f+"/") {
				return true
			}
		}
		return false
	}
}

func outside(folders ...string) func(string) bool { return not(under(folders...)) }

func is(paths ...string) func(string) bool {
	return func(p string) bool {
		for _, want := range paths {
			if p == want {
				return true
			}
		}
		return false
	}
}

func not(f func(string) bool) func(string) bool { return func(p string) bool { return !f(p) } }

func either(fs ...func(string) bool) func(string) bool {
	return func(p string) bool {
		for _, f := range fs {
			if f(p) {
				return true
			}
		}
		return false
	}
}

func turnout(pkgs ...string) func(string) bool {
	for i := range pkgs {
		pkgs[i] = path.Join(module, pkgs[i])
	}
	return is(pkgs...)
}

func turnoutUnder(folder string) func(string) bool { return under(path.Join(module, folder)) }

// foreign is everything that is not turnout's.
var foreign = not(under(module))

// standard tells the standard library by its first element, which has no dot. "C" is none of it.
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".") && first != module && p != "C"
}

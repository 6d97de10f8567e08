package importer_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"turnout/mgmt/importer"
	"turnout/mgmt/store"
)

func FuzzImportIPVSAdm(f *testing.F)    { fuzzImport(f, "ipvsadm") }
func FuzzImportKeepalived(f *testing.F) { fuzzImport(f, "keepalived") }
func FuzzImportLdirectord(f *testing.F) { fuzzImport(f, "ldirectord") }

// fuzzImport starts from the golden example, whole and by paragraphs, and from the odd ends of each grammar.
func fuzzImport(f *testing.F, format string) {
	example, err := os.ReadFile(filepath.Join("testdata", format+".txt"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	for _, part := range strings.SplitAfter(string(example), "\n\n") {
		f.Add(part)
	}
	for _, seed := range []string{
		"", "\n", "{", "}", "a {{{\n}\n", "virtual_server", "virtual_server {\nreal_server {\nTCP_CHECK {\nretry\n", `a "b`, `\`, "a \\\n",
		"-A", "-a -r", "-A -t", "-A -t 1.1.1.1:1 -p", "-A -t 1.1.1.1:1 -s \x1b[31m",
		"virtual=", "virtual=1.1.1.1:1\n real=0.0.0.0->255.255.255.255:1 gate\n", "=", "virtual=1.1.1.1:80\n real=1.1.1.2:80 gate\n virtualhost=\"\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		result, err := importer.Import(format, []byte(file))
		if err != nil {
			return
		}
		checkServices(t, result)
		checkRemarks(t, result.Remarks, 1+strings.Count(file, "\n"))
	})
}

// checkServices reads the YAML back: it must say what the result says, and stand up to turnout check.
func checkServices(t *testing.T, r *importer.Result) {
	t.Helper()
	again, err := store.Decode(r.YAML(), "services.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, r.YAML())
	}
	if _, err := again.Validate(store.Segment{}); err != nil {
		t.Fatalf("%v\n%s", err, r.YAML())
	}
	if len(again.Services) != len(r.State.Services) || len(r.Sources) != len(r.State.Services) {
		t.Fatalf("%d services and %d sources, read back as %d services", len(r.State.Services), len(r.Sources), len(again.Services))
	}
	for i, svc := range again.Services {
		if want := r.State.Services[i]; !reflect.DeepEqual(svc, want) {
			t.Fatalf("written %+v, read back as %+v:\n%s", want, svc, r.YAML())
		}
	}
}

// checkRemarks asks that remarks are in order, of lines that there are, and safe to print on a terminal.
func checkRemarks(t *testing.T, remarks []importer.Remark, lines int) {
	t.Helper()
	if !slices.IsSortedFunc(remarks, func(a, b importer.Remark) int { return a.Line - b.Line }) {
		t.Fatalf("not in file order: %v", remarks)
	}
	for _, r := range remarks {
		if r.Line < 1 || r.Line > lines || strings.ContainsFunc(r.Text, func(c rune) bool { return c < ' ' || c == 0x7f || c == 0x9b }) {
			t.Fatalf("line %d of %d: %q", r.Line, lines, r.Text)
		}
	}
}

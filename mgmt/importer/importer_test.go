package importer_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"turnout/mgmt/importer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// report is what a user gets to see of an import: the file, and the remarks below.
func report(t *testing.T, format, file string) string {
	t.Helper()
	result, err := importer.Import(format, []byte(file))
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var b strings.Builder
	b.Write(result.YAML())
	for _, r := range result.Remarks {
		fmt.Fprintf(&b, "%d: %s\n", r.Line, r.Text)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, format := range importer.Formats() {
		in, err := os.ReadFile(filepath.Join("testdata", format+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		got, path := report(t, format, string(in)), filepath.Join("testdata", format+".golden")
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
}

func TestUnknownFormat(t *testing.T) {
	_, err := importer.Import("haproxy", nil)
	if want := `"haproxy" is no format that can be imported: use ipvsadm, keepalived, ldirectord`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

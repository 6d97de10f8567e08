package doctor_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"turnout/mgmt/doctor"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/doctor.md")

const tableEnd = "<!-- end of checks -->\n"

// The tables of docs/doctor.md are the lists of checks.
func TestPage(t *testing.T) {
	const path = "../../docs/doctor.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	host, services, director := doctor.Tables()
	want := string(page)
	for name, checks := range map[string][]doctor.Described{"host": host, "services": services, "director": director} {
		want = replaceTable(t, want, "<!-- checks of the "+name+" -->\n", table(checks))
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(page), want); diff != "" {
		t.Errorf("%s is behind the code, -update rewrites it (-page +code):\n%s", path, diff)
	}
}

func replaceTable(t *testing.T, page, begin, table string) string {
	t.Helper()
	head, rest, okBegin := strings.Cut(page, begin)
	_, tail, okEnd := strings.Cut(rest, tableEnd)
	if !okBegin || !okEnd {
		t.Fatalf("the page lacks the lines around a table: %s and %s", begin, tableEnd)
	}
	return head + begin + table + tableEnd + tail
}

func table(checks []doctor.Described) string {
	var b strings.Builder
	b.WriteString("| check | all is well if | why it matters |\n| --- | --- | --- |\n")
	for _, c := range checks {
		name, fine, why := c.Cells()
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, fine, why)
	}
	return b.String()
}

// Names are fixed and tell checks apart, in JSON as well.
func TestNames(t *testing.T) {
	host, services, director := doctor.Tables()
	seen := map[string]bool{}
	for _, checks := range [][]doctor.Described{host, services, director} {
		for _, c := range checks {
			name, fine, why := c.Cells()
			if seen[name] || name == "" || fine == "" || why == "" || strings.ContainsAny(name+fine+why, "|\n") {
				t.Errorf("%q, %q, %q", name, fine, why)
			}
			seen[name] = true
		}
	}
}

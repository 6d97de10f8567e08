package importer_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"turnout/mgmt/importer"
)

// example is one of docs/import.md: a file, the services.yaml made of it, the remarks.
var example = regexp.MustCompile("(?s)```(ipvsadm|keepalived|ldirectord)\n(.*?)```\n\n```yaml\n.*?```\n\n```\n.*?```\n")

// TestPage imports the examples of docs/import.md.
func TestPage(t *testing.T) {
	const path = "../../docs/import.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	got := example.ReplaceAllStringFunc(string(page), func(text string) string {
		examples++
		m := example.FindStringSubmatch(text)
		return fmt.Sprintf("```%s\n%s```\n\n%s", m[1], m[2], shown(t, m[1], m[2]))
	})
	if examples != len(importer.Formats()) {
		t.Errorf("%d examples, want one for each of %v", examples, importer.Formats())
	}
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(page), got); diff != "" {
		t.Errorf("%s is behind the code, -update rewrites it (-want +got):\n%s", path, diff)
	}
}

// shown is what the command prints, as two blocks.
func shown(t *testing.T, format, file string) string {
	t.Helper()
	result, err := importer.Import(format, []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	var remarks strings.Builder
	for _, r := range result.Remarks {
		fmt.Fprintf(&remarks, "FILE:%d: %s\n", r.Line, r.Text)
	}
	return fmt.Sprintf("```yaml\n%s```\n\n```\n%s```\n", result.YAML(), &remarks)
}

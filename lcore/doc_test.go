package lcore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"turnout/lcore"
)

// TestDocNamesEveryFile keeps the reading order in doc.go true.
func TestDocNamesEveryFile(t *testing.T) {
	doc := read(t, "doc.go")
	named := map[string]bool{"doc.go": true}
	for _, name := range regexp.MustCompile(`\b\w+\.go\b`).FindAllString(doc, -1) {
		named[name] = true
		if _, err := os.Stat(name); err != nil {
			t.Errorf("doc.go names %s: %v", name, err)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") && !named[file] {
			t.Errorf("doc.go does not name %s: give it a place in the reading order", file)
		}
	}
}

// TestPacketsPageNamesEveryEnd keeps docs/packets.md complete, and free of names that are gone.
func TestPacketsPageNamesEveryEnd(t *testing.T) {
	page := read(t, "../docs/packets.md")
	want := map[string]bool{}
	for r := range lcore.Reasons {
		want["| `"+r.String()+"` |"] = true
	}
	for k := range lcore.PuntKinds {
		want["| `"+k.String()+"` |"] = true
		if limit := fmt.Sprintf("%s %d", k, lcore.PuntsPerSecond(k)); !strings.Contains(page, limit) {
			t.Errorf("docs/packets.md does not tell the punt limit %q", limit)
		}
	}
	for row := range want {
		if !strings.Contains(page, "\n"+row) {
			t.Errorf("docs/packets.md has no row that begins with %s", row)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `\\w+` \\|").FindAllString(page, -1) {
		if !want[row] {
			t.Errorf("docs/packets.md has a row that begins with %s, which is neither a reason nor a punt kind", row)
		}
	}
}

// TestCapturePageHasTheFigures keeps docs/capture.md true.
func TestCapturePageHasTheFigures(t *testing.T) {
	page := read(t, "../docs/capture.md")
	for _, want := range []string{
		fmt.Sprintf("The latest %d frames", lcore.KeptFrames), fmt.Sprintf("first %d bytes", lcore.KeptBytes),
		fmt.Sprintf("That is %d KiB", lcore.KeptSlotsBytes>>10), fmt.Sprintf("longer than %d bytes are cut", lcore.CaptureBytes),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/capture.md does not say %q", want)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	logKey    = regexp.MustCompile(`zap\.(?:[A-Z][A-Za-z0-9]*)\("([a-z_]+)"`)
	logError  = regexp.MustCompile(`zap\.Error\(`)
	listedKey = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")
)

// TestLogKeysAreListed compares the keys of all log entries with docs/logging.md.
func TestLogKeysAreListed(t *testing.T) {
	used := map[string]bool{}
	for _, root := range []string{".", "../mgmt", "../lcore"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, match := range logKey.FindAllSubmatch(source, -1) {
				used[string(match[1])] = true
			}
			if logError.Match(source) {
				used["error"] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	document, err := os.ReadFile("../docs/logging.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, match := range listedKey.FindAllSubmatch(document, -1) {
		listed = append(listed, string(match[1]))
		if !used[string(match[1])] {
			t.Errorf("docs/logging.md lists the key %s, which no entry has", match[1])
		}
	}
	for key := range used {
		if !slices.Contains(listed, key) {
			t.Errorf("the key %s is not in docs/logging.md", key)
		}
	}
}

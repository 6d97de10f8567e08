package main

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated part of docs/configuration.md")

// The table of keys stands between these lines.
const (
	tableBegin = "<!-- keys: made by go test ./appliance -run ConfigurationPage -update -->\n"
	tableEnd   = "<!-- end of keys -->\n"
)

// docs/configuration.md tells every key as the code has it.
func TestConfigurationPage(t *testing.T) {
	const path = "../docs/configuration.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, okBegin := strings.Cut(string(page), tableBegin)
	_, tail, okEnd := strings.Cut(rest, tableEnd)
	if !okBegin || !okEnd {
		t.Fatalf("%s lacks the lines around the table of keys", path)
	}
	want := head + tableBegin + configTable() + tableEnd + tail
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(page) {
		t.Errorf("%s is behind the code: go test ./appliance -run ConfigurationPage -update", path)
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	for _, k := range configKeys() {
		if k.doc == "" || strings.Contains(k.doc, "|") {
			t.Errorf("%s has the doc tag %q", k.name, k.doc)
		}
	}
}

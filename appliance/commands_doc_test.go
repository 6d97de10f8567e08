package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The commands of docs/commands.md stand between these lines.
const (
	commandsBegin = "<!-- commands: made by go test ./appliance -run CommandsPage -update -->\n"
	commandsEnd   = "<!-- end of commands -->\n"
)

// docs/commands.md tells of every command and flag as the code has it.
func TestCommandsPage(t *testing.T) {
	const path = "../docs/commands.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, okBegin := strings.Cut(string(page), commandsBegin)
	_, tail, okEnd := strings.Cut(rest, commandsEnd)
	if !okBegin || !okEnd {
		t.Fatalf("%s lacks the lines around the commands", path)
	}
	var text strings.Builder
	for _, cmd := range visible(newRootCommand()) {
		writeCommand(&text, cmd)
	}
	want := head + commandsBegin + text.String() + "\n" + commandsEnd + tail
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(page) {
		t.Errorf("%s is behind the code: go test ./appliance -run CommandsPage -update", path)
	}
	for _, name := range everywhere {
		if !strings.Contains(head, "`--"+name) {
			t.Errorf("%s does not tell of --%s", path, name)
		}
	}
}

func visible(root *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(root.Commands(), func(c *cobra.Command) bool { return c.Hidden })
}

func writeCommand(b *strings.Builder, cmd *cobra.Command) {
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(b, "\n### turnout %s\n\n%s.\n\n", cmd.Use, strings.TrimSuffix(about, "."))
	for line := range strings.Lines(cmd.Example) {
		fmt.Fprintf(b, "    %s\n", strings.TrimSpace(line))
	}
	first := true
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains(everywhere, f.Name) {
			return
		}
		if first {
			b.WriteString("\n| flag | |\n|---|---|\n")
			first = false
		}
		fmt.Fprintf(b, "| %s | %s |\n", flagName(f), strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
}

// flagName is a flag with its short form, and its value unless that is the usual empty one.
func flagName(f *pflag.Flag) string {
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	switch {
	case f.NoOptDefVal != "" && f.Value.Type() != "bool":
		name += "[=" + f.NoOptDefVal + "]"
	case f.DefValue != "" && f.DefValue != "0" && f.DefValue != "false" && f.DefValue != "[]":
		name += "=" + f.DefValue
	}
	return "`" + name + "`"
}

func TestEveryCommandHasAnExample(t *testing.T) {
	for _, cmd := range visible(newRootCommand()) {
		if !strings.Contains(cmd.Example, "turnout "+cmd.Name()) || strings.HasSuffix(cmd.Short, ".") || cmd.Short == "" {
			t.Errorf("%s: short %q, example %q", cmd.Name(), cmd.Short, cmd.Example)
		}
	}
}

// The examples are commands that turnout takes, as far as that can be told without running them.
func TestExamplesAreRight(t *testing.T) {
	for _, cmd := range append(visible(newRootCommand()), newRootCommand()) {
		for line := range strings.Lines(cmd.Example) {
			_, args, _ := strings.Cut(line, "turnout ")
			args, _, _ = strings.Cut(args, " > ")
			args, _, _ = strings.Cut(args, " | ")
			root := newRootCommand()
			found, rest, err := root.Find(strings.Fields(args))
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil || found == root {
				t.Errorf("%s: the example %q is wrong: %v", cmd.Name(), line, err)
			}
		}
	}
}

func TestManual(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "man")
	t.Setenv("SOURCE_DATE_EPOCH", "1795381384")
	if _, err := turnout("man", folder); err != nil {
		t.Fatal(err)
	}
	names := []string{"turnout"}
	for _, cmd := range visible(newRootCommand()) {
		names = append(names, "turnout-"+cmd.Name())
	}
	for _, name := range names {
		page, err := os.ReadFile(filepath.Join(folder, name+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, section := range []string{`.TH "TURNOUT" "1" "Nov 2026"`, ".SH NAME", ".SH SYNOPSIS", ".SH EXAMPLE"} {
			if !strings.Contains(string(page), section) {
				t.Errorf("%s.1 lacks %s", name, section)
			}
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != len(names) {
		t.Errorf("%d pages, want %d: %v, %v", len(files), len(names), files, err)
	}
}

func TestVersion(t *testing.T) {
	if out, err := turnout("version"); err != nil || !strings.HasPrefix(out, "turnout devel go1.") {
		t.Errorf("%q, %v", out, err)
	}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write puts the results into a folder as JSON, Markdown and a plot.
func write(dir string, host Host, results []*Result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(struct {
		Host    Host
		Results []*Result
	}{host, results}, "", "\t")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "results.json"), append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "results.md"), []byte(markdown(host, results)), 0o644),
		plotAdders(filepath.Join(dir, "adders.svg"), results),
	)
}

// markdown is the table that people read.
func markdown(host Host, results []*Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What turnout costs per packet over testpmd macswap\n\n")
	fmt.Fprintf(&b, "%s, %s, %d CPUs at a TSC of %.0f MHz; %s; DPDK %s; %s; commit %s; load %.1f before and %.1f after.\n\n",
		host.Time, host.CPU, host.CPUs, host.TSCHz/1e6, host.Kernel, host.DPDK, host.Go, host.Commit, host.Load[0], host.Load[1])
	fmt.Fprintln(&b, "| row | what | floor ns | adder ns | bound ns | adder cycles | goal cycles | lowest to most, ns | quiet ns | Mpps | rounds (refused) |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range results {
		last := r.Pairs[len(r.Pairs)-1].Row
		fmt.Fprintf(&b, "| %s | %s | %.1f | **%.1f** | %s | %.1f | %s | %.1f to %.1f | %.1f | %.1f | %d (%d) |\n", r.Row.Name, r.Row.Title, r.ns(r.Floor),
			r.ns(r.Adder), orNone(r.bound()), r.Adder, orNone(r.Row.Goal), r.ns(r.Lowest), r.ns(r.Most), r.ns(r.Quiet), last.Mpps, len(r.Pairs), r.Refused)
	}
	b.WriteString(beside(results))
	return b.String()
}

func orNone(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", v)
}

// beside sets Go's adders beside the C twin's.
func beside(results []*Result) string {
	var b strings.Builder
	adders := map[string]*Result{}
	for _, r := range results {
		adders[r.Row.Name] = r
	}
	for _, r := range results {
		if c := adders[r.Row.Name+"-C"]; c != nil {
			fmt.Fprintf(&b, "| %s | %.1f | %.1f | %+.1f ns, %+.0f %% |\n", r.Row.Name, r.ns(r.Adder), c.ns(c.Adder), r.ns(r.Adder)-c.ns(c.Adder), 100*(r.Adder/c.Adder-1))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\nGo beside its C twin, adders in ns:\n\n| row | Go | C | Go's tax |\n|---|---|---|---|\n" + b.String()
}

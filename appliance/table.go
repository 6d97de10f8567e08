package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gopkg.in/yaml.v3"
)

// outputFormat is the flag -o.
type outputFormat string

// The formats. json is the API's answer, yaml the same with the same keys.
const (
	formatTable outputFormat = "table"
	formatJSON  outputFormat = "json"
	formatYAML  outputFormat = "yaml"
)

// String implements pflag.Value.
func (f *outputFormat) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *outputFormat) Type() string { return "format" }

// Set implements pflag.Value.
func (f *outputFormat) Set(s string) error {
	switch outputFormat(s) {
	case formatTable, formatJSON, formatYAML:
		*f = outputFormat(s)
		return nil
	}
	return fmt.Errorf("want table, json or yaml")
}

// printAnswer writes an answer of the API, which is of type T, in the format asked for.
func printAnswer[T any](w io.Writer, format outputFormat, answer []byte, view func(*table, T)) error {
	switch format {
	case formatJSON:
		return printJSON(w, answer)
	case formatYAML:
		return printYAML(w, answer)
	}
	var t T
	if err := json.Unmarshal(answer, &t); err != nil {
		return fmt.Errorf("the answer is not understood (is the director of another version?): %w", err)
	}
	out := newTable(w)
	view(out, t)
	return out.w.Flush()
}

func printJSON(w io.Writer, answer []byte) error {
	var indented []byte
	indented, err := json.MarshalIndent(json.RawMessage(answer), "", "  ")
	if err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", indented)
	return err
}

// printYAML keeps order and numbers as they are in the JSON, which is YAML already, only in another style. Strings stay
// quoted: a MAC address of digits alone is a number to some readers.
func printYAML(w io.Writer, answer []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(answer, &doc); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	toBlock(&doc)
	out := yaml.NewEncoder(w)
	out.SetIndent(2)
	return out.Encode(&doc)
}

func toBlock(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = 0
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			child.Style = 0
		}
		toBlock(child)
	}
}

// table writes aligned columns for people.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer) *table {
	return &table{tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)}
}

// row writes one cell per column; an empty one shows as "-". Errors are kept for Flush.
func (t *table) row(cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		if text[i] = fmt.Sprint(c); text[i] == "" {
			text[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(text, "\t"))
}

// gap separates two tables, whose columns are aligned apart.
func (t *table) gap() { fmt.Fprintln(t.w) }

// note writes a line that is no row.
func (t *table) note(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }

// inBytes is n with a decimal unit: 5.7 MB.
func inBytes(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	value, unit := float64(n)/1000, 0
	for ; value >= 999.95 && unit < len("kMGTPE")-1; unit++ {
		value /= 1000
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTPE"[unit])
}

// inPercent is a share of 0 to 1.
func inPercent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// inTime is a number of seconds, to the second: 1d2h3m4s, 15m, 0s.
func inTime(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	text := ""
	if days := d / (24 * time.Hour); days > 0 {
		text, d = fmt.Sprintf("%dd", days), d%(24*time.Hour)
	}
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.size; n > 0 {
			text, d = fmt.Sprintf("%s%d%s", text, n, unit.name), d%unit.size
		}
	}
	if text == "" {
		return "0s"
	}
	return text
}

// inSpeed is a link's speed. Drivers that do not know it say 0 or the highest number there is.
func inSpeed(mbps uint32) string {
	switch {
	case mbps == 0 || mbps == ^uint32(0):
		return ""
	case mbps%1000 == 0:
		return fmt.Sprintf("%d Gbit/s", mbps/1000)
	}
	return fmt.Sprintf("%d Mbit/s", mbps)
}

// upDown is the state of a link.
func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

package main

import (
	"encoding/json"
	"fmt"
	"io"

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
	t, err := understood[T](answer)
	if err != nil {
		return err
	}
	out := newTable(screenOf(w))
	view(out, t)
	_, err = io.WriteString(w, out.text())
	return err
}

// understood is what an answer of the API says.
func understood[T any](answer []byte) (t T, err error) {
	if err := json.Unmarshal(answer, &t); err != nil {
		return t, fmt.Errorf("the answer is not understood (is the director of another version?): %w", err)
	}
	return t, nil
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

package store

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Decode reads the YAML of a services.yaml; file is its name in messages. Defaults are filled in.
// The error is a *Mistakes with everything that cannot be read, names nothing known, or is not available.
func Decode(data []byte, file string) (State, error) {
	d := decoder{file: file}
	var state State
	if d.root, d.fatal = parseYAML(data); d.fatal == nil {
		state = d.state(d.root, nil)
	}
	return state, d.err()
}

// DecodeJSON reads a State from an API body, by the rules of Decode. What GET shows beside the desired state
// ("generation", "live") is passed over, so that an answer can be changed and sent back.
func DecodeJSON(data []byte) (State, error) { return decodeJSON(data, (*decoder).state) }

// DecodeService reads one service from an API body, by the rules of DecodeJSON.
func DecodeService(data []byte) (Service, error) { return decodeJSON(data, (*decoder).service) }

// DecodeRealServer reads one real server from an API body, by the rules of DecodeJSON.
func DecodeRealServer(data []byte) (RealServer, error) {
	return decodeJSON(data, (*decoder).realServer)
}

func decodeJSON[T any](data []byte, decode func(*decoder, ast.Node, *place) T) (T, error) {
	d := decoder{json: true}
	var value T
	if d.root, d.fatal = parseJSON(data); d.fatal == nil {
		value = decode(&d, d.root, nil)
	}
	return value, d.err()
}

// decoder turns a tree into values and collects every mistake on its way.
type decoder struct {
	file  string
	json  bool // no lines, and what GET adds is passed over
	root  ast.Node
	fatal *Mistake // there is no tree
	Mistakes
}

// err returns all mistakes in file order, or nil.
func (d *decoder) err() error {
	if d.fatal != nil {
		d.fatal.File = d.file
		return &Mistakes{List: []Mistake{*d.fatal}}
	}
	return d.sorted().Err()
}

// wrong notes a mistake in n, which stands at the place.
func (d *decoder) wrong(n ast.Node, at *place, format string, args ...any) {
	line := 0
	if !d.json {
		line = lineOf(n)
	}
	d.List = append(d.List, Mistake{File: d.file, Line: line, Key: at.String(), Text: fmt.Sprintf(format, args...)})
}

// field reads the value of one key.
type field func(d *decoder, n ast.Node, at *place)

// fields are the keys of a mapping and how each is read.
type fields map[string]field

// schema is what a mapping may hold.
type schema struct {
	fields   fields
	required []string
	planned  []string // keys of a later version: refused rather than passed over
	shown    []string // keys that the API shows beside the desired state: passed over in JSON
}

// mapping reads every entry of a mapping by its field and tells unknown, repeated and missing keys.
func (d *decoder) mapping(n ast.Node, at *place, s schema) {
	if !isMapping(n) {
		d.wrong(n, at, "is %s: write a mapping (key: value)", kind(n))
		return
	}
	lines := map[string]int{}
	for _, e := range entries(n) {
		key := keyText(e)
		if first, again := lines[key]; again {
			d.wrong(e, at.in(key), "is given twice%s: keep one", d.since(first))
			continue
		}
		lines[key] = lineOf(e)
		d.entry(e, at.in(key), s)
	}
	for _, key := range s.required {
		if _, given := lines[key]; !given {
			d.wrong(n, at.in(key), "is missing")
		}
	}
}

func (d *decoder) entry(e *ast.MappingValueNode, at *place, s schema) {
	read, ok := s.fields[at.key]
	switch {
	case ok:
		read(d, e.Value, at)
	case slices.Contains(s.planned, at.key):
		d.wrong(e, at, notAvailable)
	case d.json && slices.Contains(s.shown, at.key):
	default:
		d.wrong(e, at, "%s", UnknownKey(at.key, slices.Collect(maps.Keys(s.fields))))
	}
}

// since names the line of an earlier mention, where lines are known.
func (d *decoder) since(line int) string {
	if d.json {
		return ""
	}
	return fmt.Sprintf(", first in line %d", line)
}

// list calls read for every item of a list. An empty value is an empty list.
func (d *decoder) list(n ast.Node, at *place, read func(i int, item ast.Node)) {
	if _, ok := n.(*ast.SequenceNode); !ok && kind(n) != "empty" {
		d.wrong(n, at, "is %s: write a list", kind(n))
	}
	for i, item := range items(n) {
		read(i, item)
	}
}

func isMapping(n ast.Node) bool { return kind(n) == "a mapping" }

// refuse is the field of a key that cannot be had, whatever its value.
func refuse(format string, args ...any) field {
	return func(d *decoder, n ast.Node, at *place) { d.wrong(n, at, format, args...) }
}

// pass is the field of a key that says nothing.
func pass(*decoder, ast.Node, *place) {}

// text reads a string.
func text(to *string) field {
	return func(d *decoder, n ast.Node, at *place) {
		s, ok := n.(*ast.StringNode)
		if !ok {
			d.wrong(n, at, "is %s: write text%s", kind(n), quoteHint(n))
			return
		}
		*to = s.Value
	}
}

func quoteHint(n ast.Node) string {
	switch kind(n) {
	case "a number", "true or false":
		return fmt.Sprintf(", in quotes: %q", n.GetToken().Value)
	case "a block of text":
		return ", in quotes, in one line"
	}
	return ""
}

// word reads one of a closed list of words.
func word[T ~string](to *T, choices words) field {
	return func(d *decoder, n ast.Node, at *place) {
		before := len(d.List)
		var s string
		text(&s)(d, n, at)
		if len(d.List) > before {
			return
		}
		if sentence := choices.refusal(s); sentence != "" {
			d.wrong(n, at, "%s", sentence)
			return
		}
		*to = T(s)
	}
}

// integer reads a decimal number from least to most.
func integer[T uint8 | uint16 | uint32 | int](to *T, least, most int) field {
	return func(d *decoder, n ast.Node, at *place) {
		if _, ok := n.(*ast.IntegerNode); !ok {
			d.wrong(n, at, "is %s: write a whole number", kind(n))
			return
		}
		written := n.GetToken().Value
		i, err := strconv.Atoi(written)
		if err != nil && !isDecimal(written) {
			d.wrong(n, at, "%s: write a decimal number", written)
			return
		}
		if err != nil || i < least || i > most {
			d.wrong(n, at, "%s is out of range: %s", written, rangeText(least, most))
			return
		}
		*to = T(i)
	}
}

func isDecimal(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func rangeText(least, most int) string {
	if most == math.MaxInt {
		return fmt.Sprintf("at least %d", least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// boolean reads true or false.
func boolean(to *bool) field {
	return func(d *decoder, n ast.Node, at *place) {
		b, ok := n.(*ast.BoolNode)
		if !ok {
			d.wrong(n, at, "is %s: write true or false", kind(n))
			return
		}
		*to = b.Value
	}
}

// duration reads text such as 30s.
func duration(to *Duration) field {
	return func(d *decoder, n ast.Node, at *place) {
		if kind(n) == "a number" {
			d.wrong(n, at, "%s has no unit: write a duration such as %ss", n.GetToken().Value, n.GetToken().Value)
			return
		}
		var s string
		text(&s)(d, n, at)
		if s == "" {
			return
		}
		if err := to.UnmarshalText([]byte(s)); err != nil {
			d.wrong(n, at, "%v", err)
		}
	}
}

// address reads an IPv4 address.
func address(to *netip.Addr) field {
	return func(d *decoder, n ast.Node, at *place) {
		var s string
		text(&s)(d, n, at)
		if s == "" {
			return
		}
		addr, err := netip.ParseAddr(s)
		switch {
		case err != nil:
			d.wrong(n, at, "%q is not an IPv4 address, such as 192.168.57.100", s)
		case !addr.Is4():
			d.wrong(n, at, "%s: IPv6 is not available in this version", s)
		default:
			*to = addr
		}
	}
}

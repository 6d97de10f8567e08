package store

import (
	"bytes"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// splice replaces the bytes from..to of a file.
type splice struct {
	from, to int
	text     string
}

// editor changes a YAML file by splices at the places that its tree tells, so that all other bytes stay.
type editor struct {
	src     []byte
	lines   []int // offset of each line's first byte
	foreign bool  // a node is not where its token says: the file cannot be edited
}

// edit returns the file that says state, made from one that says something else. Windows line ends stay.
func edit(before []byte, state State) ([]byte, error) {
	crlf, lf := []byte("\r\n"), []byte("\n")
	if !bytes.Contains(before, crlf) {
		return editLines(before, state)
	}
	after, err := editLines(bytes.ReplaceAll(before, crlf, lf), state)
	return bytes.ReplaceAll(after, lf, crlf), err
}

func editLines(before []byte, state State) ([]byte, error) {
	root, wrong := parseYAML(before)
	if wrong != nil {
		return nil, ErrLayout
	}
	old, err := Decode(before, "")
	if err != nil {
		return nil, err
	}
	e := newEditor(before)
	splices := e.mapping(root, []want{servicesWant(old.Services, state.Services)})
	if e.foreign {
		return nil, ErrLayout
	}
	return []byte(e.apply(splices, 0, len(before))), nil
}

func newEditor(src []byte) *editor {
	e := &editor{src: src, lines: []int{0}}
	for i, b := range src {
		if b == '\n' {
			e.lines = append(e.lines, i+1)
		}
	}
	return e
}

// apply returns the bytes from..to with the splices that lie within.
func (e *editor) apply(splices []splice, from, to int) string {
	slices.SortStableFunc(splices, func(a, b splice) int { return a.from - b.from })
	var b strings.Builder
	for _, s := range splices {
		b.Write(e.src[from:s.from])
		b.WriteString(s.text)
		from = s.to
	}
	b.Write(e.src[from:to])
	return b.String()
}

// mapping edits the entries that are there and adds those that must be said.
func (e *editor) mapping(n ast.Node, wants []want) []splice {
	var splices []splice
	list := entries(n)
	for _, w := range wants {
		i := slices.IndexFunc(list, func(have *ast.MappingValueNode) bool { return keyText(have) == w.key })
		switch {
		case i >= 0 && !w.same:
			splices = append(splices, e.entry(n, i, w)...)
		case i < 0 && !w.unsaid:
			splices = append(splices, e.addition(n, wants, w))
		}
	}
	return splices
}

// entry changes the i-th entry of a mapping.
func (e *editor) entry(n ast.Node, i int, w want) []splice {
	have := entries(n)[i]
	switch {
	case w.removed:
		return []splice{e.removal(n, i)}
	case w.items != nil:
		return e.list(have, isFlow(n), w.items)
	case w.within != nil && isMapping(have.Value):
		return e.mapping(have.Value, w.within)
	}
	return e.replacement(have, w.flow)
}

// replacement writes a value in one line in place of another. One that stands below its key moves up to it.
func (e *editor) replacement(have *ast.MappingValueNode, flow string) []splice {
	from, to := e.span(have)
	if !isBlock(have.Value) {
		return []splice{{from, to, flow}}
	}
	behind := e.offset(have.Start) + 1
	return []splice{{behind, behind, " " + flow}, {e.lineEnd(behind), to, ""}}
}

// addition writes a new entry behind those that usually stand before it.
func (e *editor) addition(n ast.Node, wants []want, w want) splice {
	list := entries(n)
	if len(list) == 0 { // {}
		at := e.start(n) + 1
		return splice{at, at, w.key + ": " + w.flow}
	}
	behind := list[len(list)-1]
	for _, before := range wants[:slices.IndexFunc(wants, func(x want) bool { return x.key == w.key })] {
		for _, have := range list {
			if keyText(have) == before.key {
				behind = have
			}
		}
	}
	_, end := e.span(behind)
	if isFlow(n) {
		return splice{end, end, ", " + w.key + ": " + w.flow}
	}
	end = e.lineEnd(end)
	indent := list[0].Key.GetToken().Position.Column - 1
	return splice{end, end, "\n" + spaces(indent) + w.key + ":" + w.block(indent)}
}

// removal takes out the i-th entry of a mapping: up to the next one, or from the end of the one before.
func (e *editor) removal(n ast.Node, i int) splice {
	list := entries(n)
	if i == 0 {
		return splice{e.start(list[0].Key), e.start(list[min(1, len(list)-1)].Key), ""}
	}
	_, from := e.span(list[i-1])
	_, to := e.span(list[i])
	if !isFlow(n) {
		from, to = e.lineEnd(from), e.lineEnd(to)
	}
	return splice{from, to, ""}
}

// span returns where the value of an entry begins and ends; an empty value stands behind the colon.
func (e *editor) span(have *ast.MappingValueNode) (from, to int) {
	if e.isBlank(have.Value) {
		behind := e.offset(have.Start) + 1
		return behind, behind
	}
	return e.start(have.Value), e.end(have.Value)
}

// isBlank says whether a node has no text of its own: a key with nothing behind it.
func (e *editor) isBlank(n ast.Node) bool {
	null, ok := n.(*ast.NullNode)
	return n == nil || ok && null.Token.Type == token.ImplicitNullType
}

func (e *editor) start(n ast.Node) int {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle {
			return e.start(n.Values[0].Key)
		}
		return e.offset(n.Start)
	case *ast.SequenceNode:
		return e.offset(n.Start)
	}
	return e.offset(n.GetToken())
}

func (e *editor) end(n ast.Node) int {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle {
			_, end := e.span(n.Values[len(n.Values)-1])
			return end
		}
		return e.offset(n.End) + 1
	case *ast.SequenceNode:
		if !n.IsFlowStyle {
			return e.itemEnd(n, len(n.Values)-1)
		}
		return e.offset(n.End) + 1
	}
	return e.start(n) + len(written(n.GetToken()))
}

func (e *editor) itemEnd(n *ast.SequenceNode, i int) int {
	if e.isBlank(n.Values[i]) {
		return e.offset(n.Entries[i].Start) + 1
	}
	return e.end(n.Values[i])
}

// written is a token as it stands in the file, quotes included.
func written(t *token.Token) string { return strings.TrimSpace(t.Origin) }

// offset turns a token's line and column, which counts characters, into a byte offset.
func (e *editor) offset(t *token.Token) int {
	if t == nil || t.Position.Line > len(e.lines) {
		e.foreign = true
		return 0
	}
	at := e.lines[t.Position.Line-1]
	for range t.Position.Column - 1 {
		if at < len(e.src) {
			at += len(string([]rune(string(e.src[at:min(at+4, len(e.src))]))[:1]))
		}
	}
	if !bytes.HasPrefix(e.src[at:], []byte(written(t))) {
		e.foreign = true
	}
	return at
}

// lineEnd returns the end of the line that holds the offset, before its line feed.
func (e *editor) lineEnd(at int) int {
	if n := bytes.IndexByte(e.src[at:], '\n'); n >= 0 {
		return at + n
	}
	return len(e.src)
}

func isFlow(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.IsFlowStyle
	case *ast.SequenceNode:
		return n.IsFlowStyle
	}
	return false
}

// isBlock says whether a node is a mapping or list that is written in lines.
func isBlock(n ast.Node) bool {
	return (isMapping(n) || len(items(n)) > 0) && !isFlow(n)
}

func spaces(n int) string { return strings.Repeat(" ", n) }

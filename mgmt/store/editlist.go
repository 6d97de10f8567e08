package store

import (
	"math"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// wantItem is one item that a list shall have, known in the file by the value of a key.
type wantItem struct {
	was    int                     // its index in the file; -1 for a new one
	within []want                  // the changes of one that was there
	flow   string                  // a new one as {key: value}
	block  func(indent int) string // a new one as lines behind "- "
}

// list edits the items that stay, and rewrites the list only if items come, go or change places.
func (e *editor) list(have *ast.MappingValueNode, inFlow bool, wants []wantItem) []splice {
	seq, _ := have.Value.(*ast.SequenceNode)
	switch {
	case len(items(have.Value)) == 0 && len(wants) == 0:
		return nil
	case len(items(have.Value)) == 0:
		return e.fill(have, inFlow, wants)
	case sameItems(len(seq.Values), wants):
		return e.items(seq, wants)
	case seq.IsFlowStyle:
		return []splice{{e.start(seq), e.end(seq), "[" + strings.Join(e.flowItems(seq, wants), ", ") + "]"}}
	case len(wants) == 0:
		behind := e.offset(have.Start) + 1
		return []splice{{behind, behind, " []"}, {e.chunkStart(seq, 0), e.chunkEnd(seq, len(seq.Values)-1), ""}}
	}
	return []splice{{e.chunkStart(seq, 0), e.chunkEnd(seq, len(seq.Values)-1), e.chunks(seq, wants)}}
}

// sameItems says whether the n items of a list all stay, in their order, and none comes.
func sameItems(n int, wants []wantItem) bool {
	return len(wants) == n && !slices.ContainsFunc(wants, func(w wantItem) bool { return w.was < 0 }) &&
		slices.IsSortedFunc(wants, func(a, b wantItem) int { return a.was - b.was })
}

// items edits each item where it stands.
func (e *editor) items(seq *ast.SequenceNode, wants []wantItem) []splice {
	var splices []splice
	for _, w := range wants {
		splices = append(splices, e.mapping(seq.Values[w.was], w.within)...)
	}
	return splices
}

// fill writes items into a list that is empty, [] or nothing at all.
func (e *editor) fill(have *ast.MappingValueNode, inFlow bool, wants []wantItem) []splice {
	from, to := e.span(have)
	if inFlow {
		return []splice{{from, to, " " + flowList(wants)}}
	}
	from = e.offset(have.Start) + 1
	end := e.lineEnd(to)
	indent := have.Key.GetToken().Position.Column - 1
	return []splice{{from, to, ""}, {end, end, blockList(wants, indent)}}
}

// flowList writes new items as [{...}, {...}].
func flowList(wants []wantItem) string {
	texts := make([]string, len(wants))
	for i, w := range wants {
		texts[i] = w.flow
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// blockList writes new items as lines, each begun with a line feed, under a key that is indented so far.
func blockList(wants []wantItem, indent int) string {
	var b strings.Builder
	for _, w := range wants {
		b.WriteString("\n" + spaces(indent+2) + "- " + w.block(indent+4))
	}
	return b.String()
}

func (e *editor) flowItems(seq *ast.SequenceNode, wants []wantItem) []string {
	var texts []string
	for _, w := range wants {
		if w.was < 0 {
			texts = append(texts, w.flow)
			continue
		}
		item := seq.Values[w.was]
		texts = append(texts, e.apply(e.mapping(item, w.within), e.start(item), e.end(item)))
	}
	return texts
}

// chunks writes the items of a list one after another, each kept one with the comments above it. Where an empty
// line parts the items there are, one parts new ones.
func (e *editor) chunks(seq *ast.SequenceNode, wants []wantItem) string {
	var b strings.Builder
	indent := seq.Start.Position.Column - 1
	gap := len(seq.Values) > 1 && strings.HasSuffix(e.chunk(seq, 0, nil), "\n\n")
	for _, w := range wants {
		if w.was >= 0 {
			b.WriteString(e.chunk(seq, w.was, w.within))
			continue
		}
		if gap && !strings.HasSuffix(b.String(), "\n\n") {
			b.WriteString("\n")
		}
		b.WriteString(spaces(indent) + "- " + w.block(indent+2) + "\n")
	}
	return b.String()
}

// chunk returns the lines of an item, edited, with a line feed at the end.
func (e *editor) chunk(seq *ast.SequenceNode, i int, within []want) string {
	text := e.apply(e.mapping(seq.Values[i], within), e.chunkStart(seq, i), e.chunkEnd(seq, i))
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// chunkStart is the first byte of the lines that belong to an item: its comments stand right above it, indented
// no deeper than its dash. Deeper ones belong to the item before.
func (e *editor) chunkStart(seq *ast.SequenceNode, i int) int {
	dash := seq.Entries[i].Start.Position
	line := dash.Line - 1
	for line > 0 && e.isComment(line-1, dash.Column-1) {
		line--
	}
	return e.lines[line]
}

// chunkEnd is where the next item's lines begin, or behind the last item and the comments within it.
func (e *editor) chunkEnd(seq *ast.SequenceNode, i int) int {
	if i+1 < len(seq.Values) {
		return e.chunkStart(seq, i+1)
	}
	indent := seq.Entries[i].Start.Position.Column - 1
	end := e.lineEnd(e.itemEnd(seq, i))
	line, _ := slices.BinarySearch(e.lines, end+1)
	for line < len(e.lines) && !e.isComment(line, indent) && e.isComment(line, math.MaxInt) {
		line++
	}
	if line >= len(e.lines) {
		return len(e.src)
	}
	return e.lines[line]
}

// isComment says whether a line, counted from 0, is a comment that is indented by at most so many spaces.
func (e *editor) isComment(line, most int) bool {
	text := string(e.src[e.lines[line]:e.lineEnd(e.lines[line])])
	trimmed := strings.TrimLeft(text, " ")
	return strings.HasPrefix(trimmed, "#") && len(text)-len(trimmed) <= most
}

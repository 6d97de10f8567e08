package importer

import (
	"strings"
)

// block is one statement of a keepalived.conf: a line of words, with the statements in braces after it.
type block struct {
	line   int
	words  []string // one at least
	braces bool
	blocks []*block
}

func (b *block) key() string { return b.words[0] }

// arg returns the nth word after the key, or "".
func (b *block) arg(n int) string {
	if n >= len(b.words) {
		return ""
	}
	return b.words[n]
}

// all returns the statements of these keys, in file order.
func (b *block) all(keys ...string) (found []*block) {
	for _, s := range b.blocks {
		for _, key := range keys {
			if s.key() == key {
				found = append(found, s)
			}
		}
	}
	return found
}

// token is a word or a brace of a line.
type token struct {
	text   string
	quoted bool
}

func (t token) is(brace string) bool { return t.text == brace && !t.quoted }

// blocksReader builds the tree.
type blocksReader struct {
	open    []*block // the root, then the blocks that are not closed yet
	remarks []Remark
}

// readBlocks returns a root with the statements of the file, and what is wrong with its braces.
func readBlocks(data []byte) (*block, []Remark) {
	r := blocksReader{open: []*block{{words: []string{""}}}}
	lines := strings.Split(string(data), "\n")
	for i := 0; i < len(lines); i++ {
		first, text := i, lines[i]
		for strings.HasSuffix(text, `\`) && i+1 < len(lines) {
			i++
			text = text[:len(text)-1] + lines[i]
		}
		r.statements(first+1, tokens(text))
	}
	for _, b := range r.open[1:] {
		r.remarks = append(r.remarks, Remark{b.line, printable(b.key()) + ": its closing brace is missing"})
	}
	return r.open[0], r.remarks
}

// statements reads a line: a statement ends at a brace and at the line's end.
func (r *blocksReader) statements(line int, tokens []token) {
	var words []string
	for _, t := range tokens {
		switch {
		case t.is("{"):
			r.enter(line, words)
			words = nil
		case t.is("}"):
			r.append(line, words)
			r.leave(line)
			words = nil
		default:
			words = append(words, t.text)
		}
	}
	r.append(line, words)
}

func (r *blocksReader) inner() *block { return r.open[len(r.open)-1] }

func (r *blocksReader) append(line int, words []string) {
	if len(words) > 0 {
		r.inner().blocks = append(r.inner().blocks, &block{line: line, words: words})
	}
}

// enter opens a block. A brace on a line of its own belongs to the statement before it.
func (r *blocksReader) enter(line int, words []string) {
	r.append(line, words)
	if len(r.inner().blocks) == 0 {
		r.append(line, []string{"{"})
	}
	last := r.inner().blocks[len(r.inner().blocks)-1]
	last.braces = true
	r.open = append(r.open, last)
}

func (r *blocksReader) leave(line int) {
	if len(r.open) == 1 {
		r.remarks = append(r.remarks, Remark{line, "a closing brace without an opening one"})
		return
	}
	r.open = r.open[:len(r.open)-1]
}

// tokens divides a line into words. Quotes (" and ') keep spaces and braces within a word; ! and # begin a comment;
// a backslash takes the next character for itself; an opening brace may stick to the last word.
func tokens(line string) (list []token) {
	var word strings.Builder
	var quote byte
	started, quoted := false, false
	end := func() {
		if started {
			list = append(list, token{word.String(), quoted})
		}
		word.Reset()
		started, quoted = false, false
	}
	for i := 0; i < len(line); i++ {
		ch := line[i]
		switch {
		case ch == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			started = true
		case quote != 0 && ch == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(ch)
		case ch == '"' || ch == '\'':
			quote, started, quoted = ch, true, true
		case ch == '!' || ch == '#':
			end()
			return splitBrace(list)
		case strings.IndexByte(" \t\r\v\f", ch) >= 0:
			end()
		default:
			word.WriteByte(ch)
			started = true
		}
	}
	end()
	return splitBrace(list)
}

// splitBrace takes an opening brace off the line's last word: "url{".
func splitBrace(list []token) []token {
	if len(list) == 0 {
		return list
	}
	last := &list[len(list)-1]
	if text, ok := strings.CutSuffix(last.text, "{"); ok && text != "" && !last.quoted {
		last.text = text
		return append(list, token{text: "{"})
	}
	return list
}

package store

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Mistake is one thing wrong in a configuration, and where it stands.
type Mistake struct {
	File string // empty when the configuration came from no file
	Line int    // counted from 1; 0 when unknown
	Key  string // such as services[web].real_servers[192.168.57.122].weight; empty for the whole
	Text string // what is wrong and what to do
}

// String gives "file:line: key: text", without the parts that are not known.
func (m Mistake) String() string {
	var b strings.Builder
	if m.File != "" {
		b.WriteString(m.File)
		if m.Line > 0 {
			b.WriteString(":" + strconv.Itoa(m.Line))
		}
		b.WriteString(": ")
	}
	if m.Key != "" {
		b.WriteString(m.Key + ": ")
	}
	b.WriteString(m.Text)
	return b.String()
}

// Mistakes is the error for a configuration that is refused: everything that is wrong with it, in file order.
type Mistakes struct {
	List []Mistake
}

// Error gives one mistake per line.
func (m *Mistakes) Error() string {
	lines := make([]string, len(m.List))
	for i, mistake := range m.List {
		lines[i] = mistake.String()
	}
	return strings.Join(lines, "\n")
}

// Add notes a mistake at key. The text is formatted as by fmt.Sprintf.
func (m *Mistakes) Add(key, format string, args ...any) {
	m.List = append(m.List, Mistake{Key: key, Text: fmt.Sprintf(format, args...)})
}

// In names the file that all mistakes so far stand in.
func (m *Mistakes) In(file string) {
	for i := range m.List {
		m.List[i].File = file
	}
}

// Merge takes over the mistakes of a later look at the same configuration, err being a *Mistakes or nil. Those at a
// key that m has, or beneath one, are left out: they follow from what could not be read.
func (m *Mistakes) Merge(err error) {
	var later *Mistakes
	if !errors.As(err, &later) {
		return
	}
	known := map[string]bool{}
	for _, mistake := range m.List {
		known[mistake.Key] = true
	}
	for _, mistake := range later.List {
		if !isWithin(mistake.Key, known) {
			m.List = append(m.List, mistake)
		}
	}
}

// isWithin says whether key, or one that it is beneath, is known.
func isWithin(key string, known map[string]bool) bool {
	for i, c := range key {
		if (c == '.' || c == '[') && known[key[:i]] {
			return true
		}
	}
	return known[key]
}

// Err returns m, or nil if it holds no mistake.
func (m *Mistakes) Err() error {
	if len(m.List) == 0 {
		return nil
	}
	return m
}

// sorted brings the mistakes into file order.
func (m *Mistakes) sorted() *Mistakes {
	slices.SortStableFunc(m.List, func(a, b Mistake) int { return a.Line - b.Line })
	return m
}

// UnknownKey is the sentence for a key that is none of known.
func UnknownKey(key string, known []string) string {
	if near := nearest(key, known); near != "" {
		return fmt.Sprintf("unknown key: did you mean %q?", near)
	}
	return "unknown key: known here are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// nearest returns the word that takes the fewest edits to reach from s, or "" if those are more than half of s, or than four.
func nearest(s string, words []string) string {
	best, fewest := "", min(max(1, len(s)/2), 4)+1
	for _, w := range slices.Sorted(slices.Values(words)) {
		if n := distance(s, w); n < fewest {
			best, fewest = w, n
		}
	}
	return best
}

// distance counts the insertions, deletions and replacements of bytes that turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

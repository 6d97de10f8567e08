package main

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// table aligns columns for people. Rows in a row are aligned together; a gap or a note ends that.
type table struct {
	screen screen
	fit    bool // cut lines that are wider than the screen: those of a view that is redrawn must not wrap
	out    strings.Builder
	rows   [][]cell
}

// cell is a text in a table.
type cell struct {
	text   string
	colour colour
	prose  bool // may be cut where the table is wider than the screen
}

// columnGap is the number of spaces between columns, minProse the width that a column of prose keeps.
const (
	columnGap = 3
	minProse  = 12
)

func newTable(s screen) *table { return &table{screen: s} }

// head writes the names of columns.
func (t *table) head(names ...string) {
	var cells []any
	for _, name := range names {
		cells = append(cells, cell{text: name, colour: bold})
	}
	t.row(cells...)
}

// row writes one cell per column, each a cell or what is printed in one; an empty one shows as "-".
func (t *table) row(cells ...any) {
	row := make([]cell, len(cells))
	for i, c := range cells {
		var ok bool
		if row[i], ok = c.(cell); !ok {
			row[i] = cell{text: fmt.Sprint(c)}
		}
		if row[i].text == "" {
			row[i].text = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// gap separates two tables.
func (t *table) gap() {
	t.align()
	t.out.WriteByte('\n')
}

// note writes a line that is no row.
func (t *table) note(format string, args ...any) {
	t.align()
	text := fmt.Sprintf(format, args...)
	t.line([]cell{{text: text}}, []int{len(text)})
}

// text is all that was written.
func (t *table) text() string {
	t.align()
	return t.out.String()
}

// align writes the rows that wait, now that the widths of their columns are known.
func (t *table) align() {
	widths := t.widths()
	for _, row := range t.rows {
		t.line(row, widths)
	}
	t.rows = nil
}

// widths are those of the columns; a column of prose gives way on a narrow screen.
func (t *table) widths() (widths []int) {
	total, prose := -columnGap, -1
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
				total += columnGap
			}
			if grown := utf8.RuneCountInString(c.text) - widths[i]; grown > 0 {
				widths[i] += grown
				total += grown
			}
			if c.prose {
				prose = i
			}
		}
	}
	if over := total - t.screen.width; t.screen.width > 0 && over > 0 && prose >= 0 {
		widths[prose] = min(widths[prose], max(widths[prose]-over, minProse))
	}
	return widths
}

// line writes cells; the last one needs no padding.
func (t *table) line(row []cell, widths []int) {
	room := math.MaxInt
	if t.fit && t.screen.width > 0 {
		room = t.screen.width
	}
	for i, c := range row {
		text := cut(c.text, min(widths[i], room))
		t.out.WriteString(t.screen.paint(c.colour, text))
		padding := columnGap + widths[i] - utf8.RuneCountInString(text)
		if room -= widths[i] + columnGap; i == len(row)-1 || room <= 0 {
			break
		}
		t.out.WriteString(strings.Repeat(" ", padding))
	}
	t.out.WriteByte('\n')
}

// cut shortens a text to a width, and shows where.
func cut(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:max(width-1, 0)]) + "…"
}

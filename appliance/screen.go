package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// screen is the terminal that a command writes to. The zero value is none: a pipe or a file.
type screen struct {
	width, height int // in characters; 0: unknown
	colours       bool
}

// screenOf looks at what a command writes to. NO_COLOR, and a terminal without colours, are respected.
func screenOf(w io.Writer) screen {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return screen{}
	}
	s := screen{colours: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if width, height, err := term.GetSize(int(file.Fd())); err == nil {
		s.width, s.height = width, height
	}
	return s
}

// colour is the parameter of SGR, "select graphic rendition" (ECMA-48 section 8.3.117).
type colour string

// The colours: what is wrong is red, what an operator should look at yellow, what is well has none.
const (
	plain  colour = ""
	bold   colour = "1"
	red    colour = "31"
	yellow colour = "33"
)

// paint colours a text, if the screen has colours.
func (s screen) paint(c colour, text string) string {
	if c == plain || !s.colours {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

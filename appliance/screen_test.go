package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal makes a pseudo-terminal of that size: what is written to the terminal can be read at the other end.
func openTerminal(t *testing.T, width, height uint16) (terminal, other *os.File) {
	t.Helper()
	other, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("needs pseudo-terminals:", err)
	}
	t.Cleanup(func() { other.Close() })
	fd := int(other.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width}); err != nil {
		t.Fatal(err)
	}
	return terminal, other
}

func TestColoursOnlyOnATerminal(t *testing.T) {
	terminal, _ := openTerminal(t, 90, 30)
	pipe, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	for _, c := range []struct {
		name, noColour, term string
		to                   *os.File
		want                 screen
	}{
		{"a terminal", "", "xterm", terminal, screen{90, 30, true}},
		{"NO_COLOR", "1", "xterm", terminal, screen{90, 30, false}},
		{"a dumb terminal", "", "dumb", terminal, screen{90, 30, false}},
		{"a pipe", "", "xterm", pipe, screen{}},
	} {
		t.Setenv("NO_COLOR", c.noColour)
		t.Setenv("TERM", c.term)
		if got := screenOf(c.to); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := screenOf(new(strings.Builder)); got != (screen{}) {
		t.Errorf("no file: %+v", got)
	}
}

func TestTablesOnScreens(t *testing.T) {
	for _, c := range []struct {
		name   string
		screen screen
		fit    bool
		want   string
	}{
		{"none", screen{}, false, "ADDRESS   STATE   HEALTH                       MAC\n.121      down    down: connection timed out   -\n.122      up      -                            02:22\nnote\n"},
		{"colours", screen{colours: true}, false,
			"\x1b[1mADDRESS\x1b[0m   \x1b[1mSTATE\x1b[0m   \x1b[1mHEALTH\x1b[0m                       \x1b[1mMAC\x1b[0m\n" +
				".121      \x1b[31mdown\x1b[0m    down: connection timed out   -\n.122      up      -                            02:22\nnote\n"},
		{"prose gives way", screen{width: 46}, false, "ADDRESS   STATE   HEALTH                 MAC\n.121      down    down: connection ti…   -\n.122      up      -                      02:22\nnote\n"},
		{"not below its minimum", screen{width: 20}, false, "ADDRESS   STATE   HEALTH         MAC\n.121      down    down: conne…   -\n.122      up      -              02:22\nnote\n"},
		{"lines that must not wrap", screen{width: 20}, true, "ADDRESS   STATE   H…\n.121      down    d…\n.122      up      -\nnote\n"},
		{"no room at all", screen{width: 3}, true, "AD…\n.1…\n.1…\nno…\n"},
	} {
		table := newTable(c.screen)
		table.fit = c.fit
		table.head("ADDRESS", "STATE", "HEALTH", "MAC")
		table.row(".121", shaded("down"), cell{text: "down: connection timed out", prose: true}, "")
		table.row(".122", shaded("up"), cell{prose: true}, "02:22")
		table.note("note")
		if got := table.text(); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s\n%q", c.name, got, c.want, got)
		}
	}
}

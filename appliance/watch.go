package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

const (
	defaultInterval = 2 * time.Second
	minInterval     = 100 * time.Millisecond
	// watchTimeout is how long a director may take for an answer before a view says that it waits.
	watchTimeout = 5 * time.Second
)

// Control sequences of ECMA-48 for a view that is redrawn in place.
const (
	cursorHide  = "\x1b[?25l"
	cursorShow  = "\x1b[?25h"
	cursorHome  = "\x1b[H"
	clearScreen = "\x1b[2J"
	clearLine   = "\x1b[K" // from the cursor on
	clearBelow  = "\x1b[J"
)

func watchFlag(cmd *cobra.Command) *time.Duration {
	interval := cmd.Flags().Duration("watch", defaultInterval, "show it again and again at this interval, until Ctrl-C")
	cmd.Flags().Lookup("watch").NoOptDefVal = defaultInterval.String()
	return interval
}

// reading is what the API answered at a time. The zero value is none.
type reading[T any] struct {
	answer T
	at     time.Time
}

// seconds is the time since an earlier reading; 0 if there is none.
func (r reading[T]) seconds(before reading[T]) float64 {
	if before.at.IsZero() {
		return 0
	}
	return r.at.Sub(before.at).Seconds()
}

// watch shows the answer again and again until the command is interrupted.
func (s show[T]) watch(cmd *cobra.Command, f *clientFlags, format outputFormat, interval time.Duration) error {
	switch {
	case format != formatTable:
		return usageError{errors.New("--watch shows a table: leave out -o")}
	case interval < minInterval:
		return usageError{fmt.Errorf("--watch %v: want at least %v", interval, minInterval)}
	}
	c, err := f.dial()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	v := &view{out: cmd.OutOrStdout(), title: fmt.Sprintf("turnout %s, every %v, Ctrl-C ends", cmd.Name(), interval)}
	defer v.end()
	return s.follow(ctx, c, v, interval)
}

// follow ends without an error when ctx does. The first reading must succeed; later the director may be away.
func (s show[T]) follow(ctx context.Context, c *client, v *view, interval time.Duration) error {
	next := time.NewTicker(interval)
	defer next.Stop()
	for before, first := (reading[T]{}), true; ; first = false {
		now, err := s.read(ctx, c)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil:
			v.wait(err)
			before = reading[T]{} // a director that starts counts from zero
		default:
			v.draw(now.at, func(t *table) { s.view(t, before, now) })
			before = now
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s show[T]) read(ctx context.Context, c *client) (r reading[T], err error) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	answer, err := c.call(ctx, http.MethodGet, s.path(), nil)
	if err != nil {
		return r, err
	}
	r.at = time.Now()
	r.answer, err = understood[T](answer)
	return r, err
}

func (s show[T]) view(t *table, before, now reading[T]) {
	if s.rates == nil {
		s.table(t, now.answer)
		return
	}
	s.rates(t, before, now)
}

// view is where tables are shown one after the other: in place on a terminal, else below each other.
type view struct {
	out     io.Writer
	title   string
	body    string // what is on the screen
	begun   bool
	waiting string // what is waited for, if anything
}

// draw shows a table that was read at a time.
func (v *view) draw(at time.Time, write func(*table)) {
	s := screenOf(v.out)
	t := newTable(s)
	t.fit = true
	write(t)
	v.body, v.waiting = t.text(), ""
	if s == (screen{}) {
		v.append(at.Format(time.TimeOnly) + "\n" + v.body)
		return
	}
	v.redraw(s, s.paint(bold, cut(v.title+", "+at.Format(time.TimeOnly), s.width)))
}

// wait says why there is nothing new; the last table stays on a terminal.
func (v *view) wait(err error) {
	s := screenOf(v.out)
	text, again := "waiting: "+err.Error(), v.waiting == err.Error()
	v.waiting = err.Error()
	if s != (screen{}) {
		v.redraw(s, s.paint(yellow, cut(text, s.width)))
	} else if !again {
		v.append(text + "\n")
	}
}

func (v *view) append(text string) {
	if v.begun {
		text = "\n" + text
	}
	v.begun = true
	_, _ = io.WriteString(v.out, text) // who reads it may be gone: SIGPIPE ends the command
}

// redraw puts the title and the table in place of what is on the terminal, as far as they have room there.
func (v *view) redraw(s screen, title string) {
	var b bytes.Buffer
	if !v.begun {
		b.WriteString(cursorHide + clearScreen)
	}
	v.begun = true
	lines := append([]string{title, ""}, strings.Split(strings.TrimSuffix(v.body, "\n"), "\n")...)
	if room := s.height - 1; s.height > 0 && len(lines) > room { // the cursor stands on the last line
		hidden := len(lines) - room + 1
		lines = append(lines[:max(room-1, 1)], fmt.Sprintf("... and %d more lines", hidden))
	}
	b.WriteString(cursorHome + strings.Join(lines, clearLine+"\n") + clearLine + "\n" + clearBelow)
	_, _ = v.out.Write(b.Bytes())
}

// end gives the terminal its cursor back.
func (v *view) end() {
	if v.begun && screenOf(v.out) != (screen{}) {
		_, _ = io.WriteString(v.out, cursorShow)
	}
}

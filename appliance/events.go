package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"turnout/mgmt/events"
)

// reconnectInterval is how often a director that went away is looked for.
const reconnectInterval = time.Second

func newEventsCommand() *cobra.Command {
	cmd, flags, format := newClientCommand("events", "Show what happens: health, drains, quorums, neighbours, links, VIPs, the role, changes",
		"turnout events\nturnout events --follow=false --kind health,quorum\nturnout events --since 0 -o json", cobra.NoArgs)
	cmd.Long = cmd.Short + ".\nOne line an event, until Ctrl-C; with -o json one object a line, with -o yaml one document an event."
	var kinds []string
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "only events of this kind, or of these")
	since := cmd.Flags().Uint64("since", 0, "begin after the event of this ID, 0: with the oldest that is kept (default: only what is to come)")
	follow := cmd.Flags().Bool("follow", true, "go on until Ctrl-C; --follow=false: show what is kept, and end")
	completes(cmd, "kind", kindNames()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f := &follower{out: eventWriter(cmd.OutOrStdout(), *format), remarks: cmd.ErrOrStderr(), kinds: kinds, follow: *follow}
		if cmd.Flags().Changed("since") || !*follow {
			f.since = strconv.FormatUint(*since, 10)
		}
		var err error
		if f.client, err = flags.dial(); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return f.run(ctx)
	}
	return cmd
}

func kindNames() (names []string) {
	for _, kind := range events.Kinds {
		names = append(names, string(kind))
	}
	return names
}

// eventWriter writes an event, which is JSON, in the format asked for.
func eventWriter(w io.Writer, format outputFormat) func(data []byte) error {
	switch format {
	case formatJSON:
		return func(data []byte) error {
			_, err := fmt.Fprintf(w, "%s\n", data)
			return err
		}
	case formatYAML:
		return func(data []byte) error {
			if _, err := io.WriteString(w, "---\n"); err != nil {
				return err
			}
			return printYAML(w, data)
		}
	}
	s := screenOf(w)
	return func(data []byte) error {
		e, err := understood[events.Event](data)
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, eventLine(s, e))
		return err
	}
}

// kindWidth is that of the longest kind.
const kindWidth = len(events.Neighbour)

// eventLine is an event as one line: when, of which kind, about what, what.
func eventLine(s screen, e events.Event) string {
	about := e.Service
	if e.RealServer.IsValid() {
		about += " " + e.RealServer.String()
	}
	if about != "" {
		about += ": "
	}
	return fmt.Sprintf("%s  %s  %s%s\n", inTheZone(e.Time), s.paint(bold, fmt.Sprintf("%-*s", kindWidth, e.Kind)), about, e.Text)
}

// follower shows events, over restarts of the director.
type follower struct {
	client  *client
	out     func(data []byte) error
	remarks io.Writer // what is no event
	kinds   []string
	since   string // ID of the event to begin after; "": only what is to come
	follow  bool
}

var errStreamEnded = errors.New("it ended the stream")

// run ends without an error when ctx does. The first connection must succeed; a later one is tried again.
func (f *follower) run(ctx context.Context) error {
	body, err := f.open(ctx)
	if err != nil {
		return quiet(ctx, err)
	}
	for {
		err := f.read(body)
		_ = body.Close() // only read from
		if !f.follow || errors.As(err, new(unshown)) || ctx.Err() != nil {
			return quiet(ctx, err)
		}
		fmt.Fprintf(f.remarks, "waiting for the director at %s: %v\n", f.client.server, cmp.Or(err, errStreamEnded))
		if body, err = f.reopen(ctx); err != nil {
			return quiet(ctx, err)
		}
	}
}

// quiet is no error when it was the user who ended the command.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// unshown is an event that cannot be shown: no use to try again.
type unshown struct{ error }

func (u unshown) Unwrap() error { return u.error }

func (f *follower) open(ctx context.Context) (io.ReadCloser, error) {
	query := url.Values{"follow": {strconv.FormatBool(f.follow)}}
	if len(f.kinds) > 0 {
		query.Set("kind", strings.Join(f.kinds, ","))
	}
	if f.since != "" {
		query.Set("since", f.since)
	}
	return f.client.open(ctx, "/v1/events?"+query.Encode())
}

// reopen tries until the director is there again, or ctx ends.
func (f *follower) reopen(ctx context.Context) (io.ReadCloser, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(reconnectInterval):
		}
		if body, err := f.open(ctx); err == nil {
			return body, nil
		}
	}
}

// read shows the events of a stream (the HTML standard, section 9.2) until that ends, and notes the ID of the last one.
func (f *follower) read(stream io.Reader) error {
	var kind, id, data string
	for lines := bufio.NewScanner(stream); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "": // the end of an event
			if err := f.show(kind, data); err != nil {
				return unshown{err}
			}
			if id != "" {
				f.since = id
			}
			kind, data = "", ""
		case field == "event":
			kind = value
		case field == "id":
			id = value
		case field == "data":
			data += value
		}
	}
}

func (f *follower) show(kind, data string) error {
	if data == "" {
		return nil
	}
	if kind != "missed" {
		return f.out([]byte(data))
	}
	m, err := understood[struct{ Missed uint64 }]([]byte(data))
	if err == nil {
		fmt.Fprintf(f.remarks, "%d events were missed: they are no longer kept\n", m.Missed)
	}
	return err
}

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"turnout/mgmt/api/apitest"
	"turnout/mgmt/events"
)

// emitted is a director to which three things happened.
func emitted() *apitest.Director {
	d := apitest.New()
	d.Events().Emit(events.Health, "web", netip.MustParseAddr("192.168.57.122"), "down: connection refused")
	d.Events().Emit(events.Quorum, "web", netip.Addr{}, "the quorum is lost")
	d.Events().Emit(events.Link, "", netip.Addr{}, "port lan has no link")
	return d
}

var eventTime = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)

func TestEvents(t *testing.T) {
	server := serveDirector(t, emitted())
	lines := eventTime.ReplaceAllString(mustPrint(t, server, "events --follow=false"), "TIME")
	compareGolden(t, filepath.Join("testdata", "events.txt"), lines)
	if got := mustPrint(t, server, "events --follow=false --kind quorum,link"); strings.Count(got, "\n") != 2 || strings.Contains(got, "health") {
		t.Errorf("--kind quorum,link:\n%s", got)
	}
	var ids []uint64
	for line := range strings.Lines(mustPrint(t, server, "events --follow=false -o json")) {
		var e events.Event
		parse(t, json.Unmarshal, []byte(line), &e)
		ids = append(ids, e.ID)
	}
	if len(ids) != 3 {
		t.Fatalf("-o json: %d events, want 3", len(ids))
	}
	if got := mustPrint(t, server, fmt.Sprintf("events --follow=false --since %d", ids[1])); strings.Count(got, "\n") != 1 || !strings.Contains(got, "no link") {
		t.Errorf("since the second:\n%s", got)
	}
	documents := yaml.NewDecoder(strings.NewReader(mustPrint(t, server, "events --follow=false -o yaml")))
	for i := range ids {
		var e struct{ Kind, Text string }
		if err := documents.Decode(&e); err != nil || e.Kind == "" || e.Text == "" {
			t.Errorf("-o yaml, event %d: %+v, %v", i, e, err)
		}
	}
}

// TestEventsAreFollowed has the director go away and come back: what happens then is told too, and nothing twice.
func TestEventsAreFollowed(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "turnout.sock")
	d := emitted()
	stop, again := serveAt(t, socket, d), make(chan func(), 1)
	var said int
	text := follow(t, func(string) {
		switch said++; said {
		case 1:
			stop()
		case 2: // it is tried in vain before
			d.Events().Emit(events.VIP, "web", netip.Addr{}, "announced")
			time.AfterFunc(reconnectInterval*3/2, func() { again <- serveAt(t, socket, d) })
		}
	}, []string{"no link", "waiting for the director at unix:" + socket, "announced"}, "events", "--since", "0", "--server", "unix:"+socket)
	(<-again)()
	if strings.Count(text, "no link") != 1 {
		t.Errorf("an event is told twice:\n%s", text)
	}
}

// Without --since only what is to come is shown.
func TestEventsToCome(t *testing.T) {
	opened := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		opened <- r.URL.RawQuery
		fmt.Fprint(w, ": still here\n\nevent: missed\ndata: {\"missed\":7}\n\nid: 3\nevent: vip\ndata: {\"id\":3,\"kind\":\"vip\",\ndata: \"text\":\"announced\"}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.CloseClientConnections)
	text := follow(t, nil, []string{"7 events were missed", "announced"}, "events", "--server", server.URL)
	if query := <-opened; query != "follow=true" {
		t.Errorf("it asks for %s", query)
	}
	if strings.Contains(text, "still here") {
		t.Errorf("a comment is shown:\n%s", text)
	}
}

func TestEventThatIsNotUnderstood(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "data: nonsense\n\n") }))
	defer server.Close()
	if _, err := turnout("events", "--server", server.URL); err == nil || !strings.Contains(err.Error(), "is the director of another version?") {
		t.Error(err)
	}
}

func TestKindsAreBold(t *testing.T) {
	line := eventLine(screen{colours: true}, events.Event{Kind: events.VIP, Text: "announced"})
	if !strings.Contains(line, "\x1b[1mvip      \x1b[0m  announced") {
		t.Errorf("%q", line)
	}
}

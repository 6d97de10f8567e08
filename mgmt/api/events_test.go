package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
	"turnout/mgmt/events"
)

var rip = netip.MustParseAddr("192.168.57.121")

// emit tells of n events of each kind, Config first.
func emit(hub *events.Hub, n int, kinds ...events.Kind) {
	for i := range n {
		for _, kind := range kinds {
			hub.Emit(kind, "web", rip, fmt.Sprintf("%s %d", kind, i))
		}
	}
}

// block is what stands between two empty lines of a stream.
type block struct{ id, event, data, comment string }

// blocks reads a stream as the HTML standard says, section 9.2.6.
func blocks(text string) (all []block) {
	for part := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		var b block
		for line := range strings.SplitSeq(part, "\n") {
			switch name, value, _ := strings.Cut(line, ": "); name {
			case "id":
				b.id = value
			case "event":
				b.event = value
			case "data":
				b.data = value
			default:
				b.comment += line
			}
		}
		all = append(all, b)
	}
	return all
}

func names(text string) (all []string) {
	for _, b := range blocks(text) {
		all = append(all, b.event)
	}
	return all
}

func TestEventsAreWrittenAsTheStandardSays(t *testing.T) {
	d := apitest.New()
	emit(d.Events(), 1, events.Health)
	// A client that does not ask for a stream, as curl does not, gets one all the same.
	w := call{method: "GET", path: "/v1/events?since=0&follow=false", headers: []string{"Accept: application/json"}}.send(handler(t, d, unixSocket))
	last := d.Events().Last()
	all, _, _ := d.Events().Since(0)
	want := fmt.Sprintf("id: %d\nevent: health\ndata: {\"id\":%d,\"time\":%q,\"kind\":\"health\",\"service\":\"web\",\"real_server\":\"192.168.57.121\",\"text\":\"health 0\"}\n\n",
		last, last, all[0].Time.Format(time.RFC3339Nano))
	if w.Body.String() != want {
		t.Errorf("got\n%swant\n%s", w.Body, want)
	}
	if got := w.Header().Get("Content-Type"); got != "text/event-stream" || w.Code != http.StatusOK {
		t.Errorf("status %d, Content-Type %s", w.Code, got)
	}
}

func TestWhichEventsAreSent(t *testing.T) {
	d := apitest.New()
	h := handler(t, d, unixSocket)
	emit(d.Events(), 2, events.Config, events.Health, events.VIP)
	first := d.Events().Last() - 5
	for _, c := range []struct {
		query, lastEventID, want string
	}{
		{"since=0", "", "config health vip config health vip"},
		{"", "", ""},
		{"since=0&kind=health", "", "health health"},
		{"since=0&kind=health,vip", "", "health vip health vip"},
		{"since=0&kind=health&kind=config,vip", "", "config health vip config health vip"},
		{"since=0&kind=link", "", ""},
		{"since=0&kind=", "", "config health vip config health vip"},
		{fmt.Sprint("since=", first), "", "health vip config health vip"},
		{fmt.Sprint("since=", first+5), "", ""},
		{"since=0", fmt.Sprint(first + 3), "health vip"},
		{"since=1", "0", "config health vip config health vip"},
	} {
		ask := call{method: "GET", path: "/v1/events?follow=false&" + c.query}
		if c.lastEventID != "" {
			ask.headers = []string{"Last-Event-ID: " + c.lastEventID}
		}
		w := ask.send(h)
		if got := strings.TrimSpace(strings.Join(names(w.Body.String()), " ")); got != c.want {
			t.Errorf("%s, Last-Event-ID %s: got %q, want %q", c.query, c.lastEventID, got, c.want)
		}
	}
}

func TestEventsAreRefused(t *testing.T) {
	testRefusals(t, []refusal{
		{"no such kind", call{method: "GET", path: "/v1/events?kind=health,wealth"}, nil, 422, "query.kind: there are no such events: want some of [config diagnosis drain"},
		{"no ID", call{method: "GET", path: "/v1/events?since=yesterday"}, nil, 422, "query.since: expected string to be the id of an event"},
		{"no ID to resume after", call{method: "GET", path: "/v1/events", headers: []string{"Last-Event-ID: x"}}, nil, 422, "header.Last-Event-ID: "},
		{"post", call{method: "POST", path: "/v1/events"}, nil, 405, "it takes GET, HEAD"},
	})
}

func TestHeadOfEventsDoesNotWait(t *testing.T) {
	w := call{method: "HEAD", path: "/v1/events"}.send(handler(t, apitest.New(), unixSocket))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" || w.Body.Len() > 0 {
		t.Errorf("status %d, %v: %s", w.Code, w.Header(), w.Body)
	}
}

func TestLateFollowersAreTold(t *testing.T) {
	d := apitest.New()
	emit(d.Events(), 1030, events.Health)
	w := call{method: "GET", path: "/v1/events?follow=false&since=0&kind=vip"}.send(handler(t, d, unixSocket))
	if want := "event: missed\ndata: {\"missed\":6}\n\n"; w.Body.String() != want {
		t.Errorf("got %q, want %q", w.Body, want)
	}
}

// follower is a client whose stream the test looks into.
type follower struct {
	header http.Header
	stop   func() // it goes

	mu      sync.Mutex
	body    strings.Builder
	flushed bool
}

func (f *follower) Header() http.Header { return f.header }

func (f *follower) WriteHeader(int) {}

func (f *follower) Write(block []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.body.Write(block)
}

func (f *follower) Flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flushed = true
}

// got is what has been sent so far, once the bubble is at rest.
func (f *follower) got() (text string, flushed bool) {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.body.String(), f.flushed
}

func follow(h http.Handler) *follower {
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{header: http.Header{}, stop: func() { cancel(); synctest.Wait() }}
	go h.ServeHTTP(f, httptest.NewRequestWithContext(ctx, "GET", "/v1/events", nil))
	synctest.Wait()
	return f
}

func TestFollowersGetEventsAsTheyHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := apitest.New()
		emit(d.Events(), 1, events.Role)
		f := follow(handler(t, d, unixSocket))
		defer f.stop()
		if text, flushed := f.got(); !flushed || text != "" {
			t.Errorf("before the first event: header sent %v, body %q", flushed, text)
		}
		for n := range 3 {
			emit(d.Events(), 1, events.Link)
			if text, _ := f.got(); len(blocks(text)) != n+1 {
				t.Fatalf("got %q, want %d events", text, n+1)
			}
		}
	})
}

func TestSilenceIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(handler(t, apitest.New(), unixSocket))
		defer f.stop()
		time.Sleep(14 * time.Second)
		if text, _ := f.got(); text != "" {
			t.Errorf("after 14 s: %q", text)
		}
		time.Sleep(17 * time.Second)
		if text, _ := f.got(); text != ": still here\n\n: still here\n\n" {
			t.Errorf("after 31 s: %q", text)
		}
	})
}

func TestFollowersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, apitest.New(), unixSocket)
		var last *follower
		for range 64 {
			last = follow(h)
			defer last.stop()
		}
		more := call{method: "GET", path: "/v1/events?follow=false"}
		w := more.send(h)
		if detail, _ := problemOf(t, w); w.Code != http.StatusServiceUnavailable || !strings.Contains(detail, "64 clients") {
			t.Errorf("the 65th: status %d: %s", w.Code, detail)
		}
		last.stop()
		if w := more.send(h); w.Code != http.StatusOK {
			t.Errorf("after one has gone: status %d", w.Code)
		}
	})
}

// The time-outs of the server are for requests and answers, not for streams.
func TestStreamsOutliveTimeouts(t *testing.T) {
	d := apitest.New()
	server := httptest.NewUnstartedServer(handler(t, d, unixSocket))
	server.Config.ReadTimeout, server.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	server.Start()
	defer server.Close()
	answer, err := server.Client().Get(server.URL + "/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	time.Sleep(150 * time.Millisecond)
	emit(d.Events(), 1, events.Link)
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "id: ") {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestCloseDoesNotWaitForFollowers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "turnout.sock")
	s := serve(t, api.Config{Listen: []string{"unix:" + path}})
	answer, err := unixClient(path).Get("http://turnout/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("Close took %v", took)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
)

// counted is a list of one service with one real server at these counts.
func counted(connections, packets, bytes uint64) api.ServiceList {
	list := trouble()
	s := list.Services[0]
	s.Live.Connections, s.Live.Packets, s.Live.Bytes = connections, packets, bytes
	rs := s.Live.RealServers[0]
	rs.Connections, rs.Packets, rs.Bytes = connections/2, packets/2, bytes/2
	s.Live.RealServers, s.Live.SorryServer = []api.RealServerLive{rs}, nil
	return api.ServiceList{Services: []api.Service{s}}
}

func TestRates(t *testing.T) {
	at := func(second float64, list api.ServiceList) reading[api.ServiceList] {
		return reading[api.ServiceList]{list, apitest.Now.Add(time.Duration(second * float64(time.Second)))}
	}
	other := counted(0, 0, 0)
	other.Services[0].Name = "other"
	for _, c := range []struct {
		name          string
		before, now   reading[api.ServiceList]
		service, real string // CPS, INPPS, INBPS
	}{
		{"the first reading", reading[api.ServiceList]{}, at(0, counted(100, 1000, 10_000)), "- - -", "- - -"},
		{"traffic", at(0, counted(100, 1000, 10_000)), at(2, counted(110, 3000, 2_010_000)), "5.0 1000 1.0 MB", "2.5 500 500.0 kB"},
		{"an uneven interval", at(0, counted(100, 1000, 10_000)), at(2.5, counted(400, 1001, 10_000)), "120 0.4 0 B", "60 0 0 B"},
		{"no traffic", at(0, counted(100, 1000, 10_000)), at(2, counted(100, 1000, 10_000)), "0 0 0 B", "0 0 0 B"},
		{"a director that started again", at(0, counted(100, 1000, 10_000)), at(2, counted(4, 40, 4000)), "- - -", "- - -"},
		{"one counter that went back", at(0, counted(100, 1000, 10_000)), at(2, counted(110, 900, 20_000)), "- - -", "- - -"},
		{"a service that was added", at(0, other), at(2, counted(100, 1000, 10_000)), "- - -", "- - -"},
		{"two readings at once", at(0, counted(100, 1000, 10_000)), at(0, counted(110, 3000, 20_000)), "- - -", "- - -"},
	} {
		expectRates(t, c.name, func(t *table) { serviceRates(t, c.before, c.now) }, c.service)
		expectRates(t, c.name+", real server", func(t *table) { realServerRates(t, c.before, c.now) }, c.real)
	}
}

func expectRates(t *testing.T, name string, view func(*table), want string) {
	t.Helper()
	table := newTable(screen{})
	view(table)
	found := regexp.MustCompile(`CPS +INPPS +INBPS\nweb .*? 0 +0   +(.*)\n`).FindStringSubmatch(table.text())
	if found == nil {
		t.Fatalf("%s: no rates in\n%s", name, table.text())
	}
	if got := strings.Join(strings.Fields(found[1]), " "); got != want {
		t.Errorf("%s: rates %s, want %s", name, got, want)
	}
}

// script is a pipe that ends a command once it has said all words in this order.
type script struct {
	mu    sync.Mutex
	text  bytes.Buffer
	words []string
	end   context.CancelFunc
	then  func(word string) // called after each word
}

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	for rest := string(p); len(s.words) > 0; {
		_, after, found := strings.Cut(rest, s.words[0])
		if !found {
			return len(p), nil
		}
		word := s.words[0]
		rest, s.words = after, s.words[1:]
		if s.then != nil {
			s.then(word)
		}
	}
	s.end()
	return len(p), nil
}

// follow runs a command until it has said all of words.
func follow(t *testing.T, then func(word string), words []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s := &script{words: words, end: cancel, then: then}
	if err := turnoutTo(ctx, s, s, nil, args...); err != nil {
		t.Errorf("turnout %s: %v", strings.Join(args, " "), err)
	}
	if len(s.words) > 0 {
		t.Errorf("turnout %s does not say %q; the end of what it says:\n%s", strings.Join(args, " "), s.words, tail(s.text.String()))
	}
	return s.text.String()
}

// Every table is repeated below the one before when it goes to a pipe.
func TestWatchInAPipe(t *testing.T) {
	server := serveDirector(t, apitest.New())
	for command, word := range map[string]string{
		"status": "VERSION", "services": "INBPS", "real-servers": "INPPS", "drains": "FLOWS LEFT", "flows": "EXPIRES IN", "persistence": "CLIENT", "ports": "DIP",
		"lcores": "BUSY", "neighbours": "SOURCE", "drops": "REASON", "generations": "SAVED",
		"explain --src 192.168.57.135:40000 --dst 192.168.57.100:80": "VERDICT",
	} {
		text := follow(t, nil, []string{word, word}, append(strings.Fields(command), "--watch=100ms", "--server", server)...)
		if tables := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d$`).FindAllString(text, -1); len(tables) != 2 || strings.Contains(text, "\x1b") {
			t.Errorf("%s: want two tables, each with its time and none with colours:\n%s", command, text)
		}
	}
}

// TestWatchSurvivesARestart has the director go away, answer nonsense and come back with other counts.
func TestWatchSurvivesARestart(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "turnout.sock")
	stop := serveAt(t, socket, apitest.New())
	var words []string
	text := follow(t, func(word string) {
		switch words = append(words, word); len(words) {
		case 2:
			stop()
		case 3:
			stop = serveAt(t, socket, apitest.New())
		}
	}, []string{"CPS", "0 B\n", "waiting: cannot reach the director", "-     -       -\n", "0 B\n"},
		"services", "--watch=100ms", "--server", "unix:"+socket)
	stop()
	if n := strings.Count(text, "waiting: "); n != 1 {
		t.Errorf("it says %d times that it waits, want once; the end:\n%s", n, tail(text))
	}
}

// Ctrl-C ends what waits for an answer too, and is no failure.
func TestWatchOfASilentDirectorEnds(t *testing.T) {
	for _, command := range []string{"services --watch", "events"} {
		ctx, interrupt := context.WithCancel(t.Context())
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			interrupt()
			<-r.Context().Done()
		}))
		var out bytes.Buffer
		err := turnoutTo(ctx, &out, &out, nil, append(strings.Fields(command), "--server", server.URL)...)
		if err != nil || out.Len() > 0 {
			t.Errorf("%s: %v, %q", command, err, &out)
		}
		server.Close()
	}
}

// serveAt serves an API on a socket until the function it returns is called.
func serveAt(t *testing.T, socket string, d *apitest.Director) (stop func()) {
	t.Helper()
	s, err := api.Listen(api.Config{Listen: []string{"unix:" + socket}, Director: d, Metrics: http.NotFoundHandler()})
	if err != nil {
		t.Error(err)
		return func() {}
	}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(context.Background()) }()
	return sync.OnceFunc(func() {
		if err := errors.Join(s.Close(), <-ran); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// TestWatchOnATerminal runs turnout on a terminal, looks at what stands there, and ends it by Ctrl-C.
func TestWatchOnATerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	terminal, other := openTerminal(t, 72, 24)
	socket := filepath.Join(t.TempDir(), "turnout.sock")
	stop := serveAt(t, socket, apitest.New())
	defer func() { stop() }()
	cmd := turnoutProcess(t, "real-servers", "--watch=100ms", "--server", "unix:"+socket)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := newSeen(other)
	s.wait(t, "192.168.57.121", "0 B")
	stop()
	s.wait(t, "\x1b[33mwaiting: cannot reach the director")
	stop = serveAt(t, socket, apitest.New())
	s.wait(t, "turnout real-servers, every 100ms, Ctrl-C ends")
	if _, err := other.Write([]byte{'C' & 0x1f}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	s.wait(t, cursorShow)
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.all.String()
	if strings.Count(text, clearScreen) != 1 || strings.Count(text, cursorHome) < 3 {
		t.Errorf("want one cleared screen, and then tables drawn in place:\n%q", tail(text))
	}
	if !strings.Contains(text, "\x1b[31mdown\x1b[0m") {
		t.Errorf("down is not red:\n%q", tail(text))
	}
	for line := range strings.SplitSeq(regexp.MustCompile("\x1b\\[[0-9;?]*[a-zA-Z]").ReplaceAllString(text, ""), "\r\n") {
		if len([]rune(line)) > 72 {
			t.Errorf("this line wraps: %q", line)
		}
	}
}

// seen collects what is written to a terminal.
type seen struct {
	mu   sync.Mutex
	all  bytes.Buffer
	from int // what wait has not looked at
}

func newSeen(other *os.File) *seen {
	s := &seen{}
	go func() {
		for buffer := make([]byte, 4096); ; {
			n, err := other.Read(buffer)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.all.Write(buffer[:n])
			s.mu.Unlock()
		}
	}()
	return s
}

// wait looks for words that come after those found before.
func (s *seen) wait(t *testing.T, words ...string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(words) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q is not said; the end of what is:\n%q", words, tail(s.all.String()))
		}
		s.mu.Lock()
		for rest := s.all.Bytes()[s.from:]; len(words) > 0; rest = s.all.Bytes()[s.from:] {
			i := bytes.Index(rest, []byte(words[0]))
			if i < 0 {
				break
			}
			s.from += i + len(words[0])
			words = words[1:]
		}
		s.mu.Unlock()
	}
}

// tail is the end of a long text.
func tail(text string) string { return text[max(len(text)-2000, 0):] }

// A view that is higher than the terminal says what it leaves out, and never scrolls.
func TestViewFitsTheScreen(t *testing.T) {
	for height, want := range map[int][]string{
		0: {"title", "", "a", "b", "c"}, 6: {"title", "", "a", "b", "c"}, 5: {"title", "", "a", "... and 2 more lines"}, 3: {"title", "... and 4 more lines"},
	} {
		var out bytes.Buffer
		v := &view{out: &out, body: "a\nb\nc\n"}
		v.redraw(screen{height: height}, "title")
		text := strings.ReplaceAll(strings.TrimPrefix(out.String(), cursorHide+clearScreen+cursorHome), clearLine, "")
		got := strings.Split(strings.TrimSuffix(text, "\n"+clearBelow), "\n")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("height %d (-want +got):\n%s", height, diff)
		}
	}
}

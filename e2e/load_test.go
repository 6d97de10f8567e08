package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// visit is one page fetched over a connection of its own.
type visit struct {
	at     time.Time // when it began
	took   time.Duration
	server string // who served it
	err    error
}

// visitor fetches pages as a client without keep-alive does.
func (h *host) visitor() *http.Client {
	return &http.Client{
		Timeout:   15 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: h.dialContext},
	}
}

func fetch(ctx context.Context, c *http.Client, url string) (body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := c.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", response.Status)
	}
	return strings.TrimSpace(string(text)), err
}

// load is clients that fetch pages all the time, until stop.
type load struct {
	halt    context.CancelFunc
	workers sync.WaitGroup
	mu      sync.Mutex
	visits  []visit
}

// startLoad starts clients that pause between their visits.
func (s *segment) startLoad(t *testing.T, clients int, pause time.Duration, url string) *load {
	ctx, halt := context.WithCancel(context.Background())
	l := &load{halt: halt}
	for range clients {
		l.workers.Go(func() {
			c := s.client.visitor()
			for ctx.Err() == nil {
				l.visit(c, url)
				time.Sleep(pause)
			}
		})
	}
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *load) visit(c *http.Client, url string) {
	at := time.Now()
	body, err := fetch(context.Background(), c, url)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.visits = append(l.visits, visit{at, time.Since(at), body, err})
}

// servedSince counts the visits that began after a time and were served by a server.
func (l *load) servedSince(start time.Time, server string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.visits {
		if v.at.After(start) && v.server == server {
			n++
		}
	}
	return n
}

// stop lets the visits that are under way end, and returns all.
func (l *load) stop() []visit {
	l.halt()
	l.workers.Wait()
	return l.visits
}

// wantNoFailure fails the test with the failures among visits.
func wantNoFailure(t *testing.T, visits []visit) {
	t.Helper()
	failed := 0
	for _, v := range visits {
		if v.err == nil {
			continue
		}
		if failed++; failed <= 3 {
			t.Errorf("a visit at %s failed after %v: %v", v.at.Format(time.StampMilli), v.took, v.err)
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d visits failed", failed, len(visits))
	}
}

// served counts visits by who served them.
func served(visits []visit) map[string]int {
	counts := map[string]int{}
	for _, v := range visits {
		counts[v.server]++
	}
	return counts
}

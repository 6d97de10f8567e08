package e2e

import (
	"sync"
	"testing"
	"time"
)

// beat asks a service by UDP all the time, and so knows to a few milliseconds when it was not served.
type beat struct {
	mu      sync.Mutex
	answers []time.Time
}

const beatInterval = 5 * time.Millisecond

// startBeat asks until the test ends.
func (h *host) startBeat(t *testing.T, address string) *beat {
	t.Helper()
	conn, err := h.dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	b, done := &beat{}, make(chan struct{})
	t.Cleanup(func() { close(done); conn.Close() })
	go func() {
		for tick := time.NewTicker(beatInterval); ; {
			select {
			case <-tick.C:
				_, _ = conn.Write([]byte("?")) // while nobody is there to answer, an error of its own
			case <-done:
				tick.Stop()
				return
			}
		}
	}()
	go func() {
		buf := make([]byte, 100)
		for done != nil {
			n, err := conn.Read(buf)
			select {
			case <-done:
				return
			default:
			}
			if err == nil && n > 0 {
				b.note(time.Now())
			}
		}
	}()
	return b
}

func (b *beat) note(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers = append(b.answers, at)
}

// silence is the longest time without an answer since start.
func (b *beat) silence(start time.Time) (longest time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := start
	for _, at := range append(b.answers, time.Now()) {
		if at.After(start) {
			longest, last = max(longest, at.Sub(last)), at
		}
	}
	return longest
}

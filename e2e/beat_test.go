package e2e

import (
	"errors"
	"net"
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
	b := &beat{}
	t.Cleanup(func() { conn.Close() })
	go func() {
		for !errors.Is(err, net.ErrClosed) { // while nobody is there to answer, there are errors too
			_, err = conn.Write([]byte("?"))
			time.Sleep(beatInterval)
		}
	}()
	go b.listen(conn)
	return b
}

func (b *beat) listen(conn net.Conn) {
	answer := make([]byte, 100)
	for {
		_, err := conn.Read(answer)
		switch {
		case err == nil:
			b.note(time.Now())
		case errors.Is(err, net.ErrClosed):
			return
		}
	}
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

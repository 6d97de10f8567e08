// Package events keeps the latest events of the director for those who follow them.
package events

import (
	"net/netip"
	"sync"
	"time"
)

// Kind says what an event is about.
type Kind string

// The kinds.
const (
	Config    Kind = "config"    // a state was applied or refused
	Diagnosis Kind = "diagnosis" // what is wrong with the way to a real server is another thing than before
	Drain     Kind = "drain"     // a drain began, is empty, is over, was ended
	Health    Kind = "health"    // a real server went up or down
	Link      Kind = "link"      // a port's link went up or down
	Neighbour Kind = "neighbour" // a real server's MAC is known, changed or lost
	Outlier   Kind = "outlier"   // a real server was ejected for leaving its clients without an answer, or is tried again
	Quorum    Kind = "quorum"    // a service lost or regained its quorum
	Role      Kind = "role"      // active or standby
	VIP       Kind = "vip"       // a VIP is announced, or another host claims it
)

// Kinds lists all of them.
var Kinds = [...]Kind{Config, Diagnosis, Drain, Health, Link, Neighbour, Outlier, Quorum, Role, VIP}

// Event is something that happened.
type Event struct {
	ID         uint64     `json:"id" doc:"grows from event to event, over restarts as well"`
	Time       time.Time  `json:"time"`
	Kind       Kind       `json:"kind" enum:"config,diagnosis,drain,health,link,neighbour,outlier,quorum,role,vip"`
	Service    string     `json:"service,omitempty"`
	RealServer netip.Addr `json:"real_server,omitzero"`
	Text       string     `json:"text" doc:"one sentence"`
}

// kept is how many events a follower can be late by.
const kept = 1024

// Hub keeps the latest 1024 events. Its methods are safe for concurrent use and do not wait for followers.
type Hub struct {
	mu     sync.Mutex
	events [kept]Event // by ID modulo kept
	first  uint64      // ID of the first event of this process
	next   uint64
	more   chan struct{} // closed by the next event
	counts map[Kind]uint64
}

// New makes a Hub. IDs begin with the seconds of the clock, so that they grow over restarts.
func New() *Hub {
	first := uint64(time.Now().Unix()) << 20
	return &Hub{first: first, next: first, more: make(chan struct{}), counts: map[Kind]uint64{}}
}

// Emit adds an event; service and realServer may be zero.
func (h *Hub) Emit(kind Kind, service string, realServer netip.Addr, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events[h.next%kept] = Event{ID: h.next, Time: time.Now(), Kind: kind, Service: service, RealServer: realServer, Text: text}
	h.next++
	h.counts[kind]++
	close(h.more)
	h.more = make(chan struct{})
}

// Since returns the events after the one with that ID, oldest first, how many of them are no longer kept, and a channel
// that is closed when there is another. 0, and the ID of another process, are before all events.
func (h *Hub) Since(id uint64) (events []Event, missed uint64, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	from := h.first
	if id >= h.first && id < h.next {
		from = id + 1
	}
	if oldest := h.next - min(kept, h.next-h.first); from < oldest {
		missed, from = oldest-from, oldest
	}
	for ; from < h.next; from++ {
		events = append(events, h.events[from%kept])
	}
	return events, missed, h.more
}

// Last is the ID of the latest event: Since(Last()) has only those to come.
func (h *Hub) Last() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next - 1
}

// Counts returns how many events of each kind there were.
func (h *Hub) Counts() map[Kind]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := make(map[Kind]uint64, len(Kinds))
	for _, kind := range Kinds {
		counts[kind] = h.counts[kind]
	}
	return counts
}

package events

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var rip = netip.MustParseAddr("192.168.57.121")

// hub has n events with the texts "0", "1" and so on.
func hub(n int) *Hub {
	h := New()
	for i := range n {
		h.Emit(Health, "web", rip, fmt.Sprint(i))
	}
	return h
}

func TestSince(t *testing.T) {
	const most = kept
	for _, c := range []struct {
		name        string
		events      int
		after       func(h *Hub) uint64
		first, last string // texts of what it gets
		n           int
		missed      uint64
	}{
		{"nothing yet", 0, func(*Hub) uint64 { return 0 }, "", "", 0, 0},
		{"all", 3, func(*Hub) uint64 { return 0 }, "0", "2", 3, 0},
		{"after the first", 3, func(h *Hub) uint64 { return h.first }, "1", "2", 2, 0},
		{"after the last", 3, func(h *Hub) uint64 { return h.Last() }, "", "", 0, 0},
		{"an earlier process", 3, func(h *Hub) uint64 { return h.first - 5 }, "0", "2", 3, 0},
		{"a process whose clock was ahead", 3, func(h *Hub) uint64 { return h.next }, "0", "2", 3, 0},
		{"the highest ID there could be", 3, func(*Hub) uint64 { return 1<<64 - 1 }, "0", "2", 3, 0},
		{"all that can be kept", most, func(*Hub) uint64 { return 0 }, "0", "1023", most, 0},
		{"one too many", most + 1, func(*Hub) uint64 { return 0 }, "1", "1024", most, 1},
		{"late by as much as is kept", most + 2, func(h *Hub) uint64 { return h.first + 1 }, "2", "1025", most, 0},
		{"later", 3*most + 2, func(h *Hub) uint64 { return h.first + 1 }, "2050", "3073", most, 2*most + 2 - 2},
	} {
		h := hub(c.events)
		list, missed, _ := h.Since(c.after(h))
		if len(list) != c.n || missed != c.missed {
			t.Errorf("%s: %d events and %d missed, want %d and %d", c.name, len(list), missed, c.n, c.missed)
			continue
		}
		if c.n > 0 && (list[0].Text != c.first || list[c.n-1].Text != c.last) {
			t.Errorf("%s: from %s to %s, want from %s to %s", c.name, list[0].Text, list[c.n-1].Text, c.first, c.last)
		}
	}
}

func TestEventSaysWhatItWasGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New()
		time.Sleep(time.Minute)
		h.Emit(Drain, "web", rip, "no flow is left")
		list, _, _ := h.Since(0)
		want := []Event{{ID: h.Last(), Time: time.Now(), Kind: Drain, Service: "web", RealServer: rip, Text: "no flow is left"}}
		if diff := cmp.Diff(want, list, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// A process that starts a second later than another begins beyond a million events of that one.
func TestIDsGrowOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := hub(1000)
		time.Sleep(time.Second)
		if after := hub(1); after.Last() <= before.Last() {
			t.Errorf("ID %d after a restart, %d before it", after.Last(), before.Last())
		}
	})
}

func TestFollowersAreWoken(t *testing.T) {
	h := hub(1)
	_, _, more := h.Since(0)
	select {
	case <-more:
		t.Fatal("woken by nothing")
	default:
	}
	h.Emit(Link, "", netip.Addr{}, "up")
	select {
	case <-more:
	default:
		t.Fatal("not woken by the next event")
	}
}

// Whoever follows by the channel sees every event once, in order, however many speak at once.
func TestFollowersSeeEveryEventOnce(t *testing.T) {
	const speakers, each = 4, 200 // together fewer than are kept
	h := New()
	var all sync.WaitGroup
	for range speakers {
		all.Go(func() {
			for range each {
				h.Emit(Health, "web", rip, "up")
			}
		})
	}
	for range 3 {
		all.Go(func() {
			var seen []uint64
			for id := uint64(0); len(seen) < speakers*each; {
				list, _, more := h.Since(id)
				for _, e := range list {
					id, seen = e.ID, append(seen, e.ID)
				}
				if len(seen) < speakers*each {
					<-more
				}
			}
			if !slices.IsSorted(seen) || len(slices.Compact(seen)) != speakers*each {
				t.Error("events came twice or out of order")
			}
		})
	}
	all.Wait()
}

func TestCounts(t *testing.T) {
	h := hub(kept + 5)
	h.Emit(Role, "", netip.Addr{}, "standby")
	want := map[Kind]uint64{Config: 0, Diagnosis: 0, Drain: 0, Health: kept + 5, Link: 0, Neighbour: 0, Outlier: 0, Quorum: 0, Role: 1, VIP: 0}
	if diff := cmp.Diff(want, h.Counts()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The document lists the kinds by a tag, which must name them all.
func TestKindsAreDocumented(t *testing.T) {
	field, _ := reflect.TypeFor[Event]().FieldByName("Kind")
	if got, want := field.Tag.Get("enum"), strings.Trim(strings.ReplaceAll(fmt.Sprint(Kinds), " ", ","), "[]"); got != want {
		t.Errorf("tag enum:%q, want %q", got, want)
	}
}

package lcore_test

import (
	"slices"
	"testing"
	"time"

	"turnout/lcore"
)

// handshakeStories tell of connections that are answered, or not, as far as the client's packets tell.
func handshakeStories(t testing.TB) []story {
	syn, ack, fin, rst := tcp(t, 40000, 80, "S"), tcp(t, 40000, 80, "A"), tcp(t, 40000, 80, "FA"), tcp(t, 40000, 80, "R")
	const ms = time.Millisecond
	return []story{
		{name: "handshake_answered", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: 200 * ms, frame: ack, want: "forward a"},
			{after: time.Second, frame: ack, want: "forward a"}, // only the first one tells
			{after: ms, frame: syn, want: "forward a"},          // no handshake: the connection is there
			{after: time.Second, frame: fin, want: "forward a"},
			{after: time.Second, frame: fin, want: "forward a"},
		}, shaken: map[string]shaken{"a": {syns: 1, fins: 1, times: []uint64{256}}, "b": {}}},
		{name: "handshake_syn_again", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: time.Second, frame: syn, want: "forward a"},
			{after: 2 * time.Second, frame: syn, want: "forward a"},
			{after: 300 * ms, frame: ack, want: "forward a"}, // since the first SYN
		}, shaken: map[string]shaken{"a": {syns: 1, again: 2, times: []uint64{4096}}}},
		{name: "handshake_unanswered", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: time.Second, frame: syn, want: "forward a"},
			{after: 61 * time.Second, frame: ack, want: "forward a"}, // of another connection, for all that is known here
		}, tally: map[string]tally{"a": {connections: 2, active: 1}}, shaken: map[string]shaken{"a": {syns: 1, again: 1, unanswered: 1}}},
		{name: "handshake_reset", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: ms, frame: rst, want: "forward a"},
			{after: ms, frame: rst, want: "forward a"},
			{after: 20 * time.Second, frame: syn, want: "forward a"}, // the next attempt, with the same ports
			{after: 5 * ms, frame: ack, want: "forward a"},
			{after: time.Second, frame: rst, want: "forward a"},
			{after: time.Second, frame: rst, want: "forward a"},
		}, tally: map[string]tally{"a": {connections: 1, inactive: 1}}, shaken: map[string]shaken{"a": {syns: 2, unanswered: 1, resets: 2, times: []uint64{6}}}},
		{name: "handshake_reopened", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: 12 * ms, frame: fin, want: "forward a"}, // its ACK was lost on the way to here
			{after: time.Second, frame: syn, want: "forward a"},
			{after: 50 * ms, frame: ack, want: "forward a"},
		}, shaken: map[string]shaken{"a": {syns: 2, fins: 1, times: []uint64{16, 64}}}},
		{name: "handshake_moved", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: time.Second, spec: spec(web(t, gone, up, up)), frame: syn, want: "forward b"},
			{after: 3 * ms, frame: ack, want: "forward b"},
		}, shaken: map[string]shaken{"a": {syns: 1, unanswered: 1}, "b": {syns: 1, times: []uint64{4}}}},
		{name: "handshake_moved_by_its_ack", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: time.Second, spec: spec(web(t, gone, up, up)), frame: ack, want: "forward b"}, // b has answered nothing
		}, shaken: map[string]shaken{"a": {syns: 1, unanswered: 1}, "b": {}}},
		{name: "handshake_waits_while_down", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: time.Second, spec: spec(web(t, down, up, up)), frame: syn, want: "drop real_server_down"},
			{frame: rst, want: "drop real_server_down"},
		}, shaken: map[string]shaken{"a": {syns: 1}}},
		{name: "handshake_none", spec: town(t), steps: []step{
			{frame: ack, want: "forward a"}, // a connection from before a restart
			{after: time.Second, frame: fin, want: "forward a"},
			{frame: tcp(t, 40002, 80, "R"), want: "forward a"}, // of no flow
		}, shaken: map[string]shaken{"a": {fins: 1}}},
	}
}

// TestHandshakeTimeHasABucket compares every time with the ends of the buckets.
func TestHandshakeTimeHasABucket(t *testing.T) {
	bounds := make([]uint64, lcore.HandshakeBuckets)
	for i := range bounds {
		bounds[i] = lcore.HandshakeBound(i)
	}
	if want := []uint64{1, 2, 3, 4, 6, 8, 12, 16, 24}; !slices.Equal(bounds[:len(want)], want) || bounds[31] != 1<<16 {
		t.Fatalf("the buckets end at %d", bounds)
	}
	for took := range 1 << 16 {
		want := slices.IndexFunc(bounds, func(bound uint64) bool { return uint64(took) < bound })
		if got := lcore.HandshakeBucket(uint16(took)); got != uint(want) {
			t.Fatalf("%d ms: bucket %d, want %d", took, got, want)
		}
	}
}

// TestLongHandshakeStaysLong has SYNs come again for minutes: the time must not seem short because milliseconds wrap.
func TestLongHandshakeStaysLong(t *testing.T) {
	b := newBench(t, 1024, town(t))
	syn, ack := tcp(t, 40000, 80, "S"), tcp(t, 40000, 80, "A")
	for range 10 {
		b.run(syn)
		b.queue.Now += 30 * tscHz
	}
	b.run(ack)
	want := shaken{syns: 1, again: 9, times: []uint64{1 << 16}}
	if got := b.shaken(0); got.times == nil || got.times[0] != want.times[0] || got.again != want.again {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestEvictedHandshakeIsUnanswered floods a small table with SYNs, of which each evicts another.
func TestEvictedHandshakeIsUnanswered(t *testing.T) {
	b := newBench(t, 64, spec(web(t, up)))
	for port := range uint16(10_000) {
		b.run(tcp(t, port+1, 80, "S"))
	}
	evicted := b.ReadCounters().Flows.Evictions
	if got := b.shaken(0); evicted < 5000 || got.unanswered != evicted || got.syns != evicted+b.ReadCounters().Flows.Entries {
		t.Errorf("%d flows were evicted: %+v", evicted, got)
	}
}

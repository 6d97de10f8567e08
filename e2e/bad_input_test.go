package e2e

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// malformed are changes of a sound IPv4 packet, and the reason for which turnout must drop what comes of them.
func malformed() map[string][]func(ip []byte) []byte {
	cases := map[string][]func([]byte) []byte{}
	add := func(reason string, change func([]byte) []byte) { cases[reason] = append(cases[reason], change) }
	set := func(reason string, offset int, value byte) {
		add(reason, func(ip []byte) []byte { ip[offset] = value; return ip })
	}
	length := func(reason string, total int) {
		add(reason, func(ip []byte) []byte { binary.BigEndian.PutUint16(ip[2:], uint16(total)); return ip })
	}
	for cut := range ipv4Len {
		add("too_short", func(ip []byte) []byte { return ip[:cut] })
	}
	for _, version := range []byte{0, 1, 3, 5, 6, 15} {
		set("bad_version", 0, version<<4|5)
	}
	for ihl := range byte(5) {
		set("bad_header", 0, 4<<4|ihl)
	}
	for _, total := range []int{0, 1, 19, 41, 1500, 65535} { // the packet has 40 bytes
		length("bad_length", total)
	}
	for words := range 5 { // of a TCP header, which has five
		add("too_short", func(ip []byte) []byte {
			cut := ipv4Len + 4*words
			binary.BigEndian.PutUint16(ip[2:], uint16(cut))
			return ip[:cut]
		})
	}
	set("fragment", 6, 0x20) // more fragments
	set("fragment", 7, 1)    // offset
	for _, protocol := range []byte{0, 2, 4, 41, 47, 50, 132, 255} {
		set("protocol", 9, protocol)
	}
	add("icmp", func(ip []byte) []byte { ip[9], ip[ipv4Len] = 1, 3; return ip }) // destination unreachable
	return cases
}

func TestMalformedFramesAreCountedByReasonWhileTrafficGoesOn(t *testing.T) {
	const times = 10 // each
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	load := d.segment.startLoad(t, 4, 5*time.Millisecond, webURL)
	w := d.segment.client.tap(t, "eth0", filterARP)
	before := d.status().Books.Drops
	want := map[string]uint64{}
	for reason, changes := range malformed() {
		for _, change := range changes {
			for range times {
				w.send(t, tcpPacket{to: d.mac, port: 80, change: change}.frame(t))
			}
		}
		want[reason] = uint64(len(changes) * times)
	}
	for range times {
		w.send(t, tcpPacket{to: d.mac, port: 81}.frame(t))
		w.send(t, tcpPacket{to: "02:00:00:00:0f:0f", port: 80}.frame(t)) // nobody's: the bridge sends it to all
	}
	want["no_service"] = times
	want["not_for_us"] = times

	got := map[string]uint64{}
	drops := func() bool {
		now := d.status().Books.Drops
		for reason := range now {
			if got[reason] = now[reason] - before[reason]; got[reason] == 0 {
				delete(got, reason)
			}
		}
		return maps.Equal(got, want)
	}
	for limit := time.Now().Add(5 * time.Second); !drops(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("drops by reason are %v, want %v", got, want)
		}
	}
	for range 3 {
		sendGarbage(t, w, d.mac)
		time.Sleep(100 * time.Millisecond)
	}
	visits := load.stop()
	wantNoFailure(t, visits)
	if len(visits) < 10 {
		t.Errorf("only %d visits beside the bad input", len(visits))
	}
	d.mustRun()
}

// sendGarbage sends frames of every length whose bytes after the MACs, or after the addresses, are chance's.
func sendGarbage(t *testing.T, w *wire, to string) {
	t.Helper()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	sound := tcpPacket{to: to, port: 80}.frame(t)
	for length := 14; length <= 1514; length += 3 {
		f := make([]byte, length)
		for i := range f {
			f[i] = byte(random.Uint32())
		}
		kept := slices.Clone(sound[:min(length, []int{12, 14, 15, 34}[random.IntN(4)])])
		if length >= len(sound) && random.IntN(2) == 0 {
			kept = slices.Clone(sound)
			kept[14] = 4<<4 | byte(random.IntN(16)) // options that lie
		}
		copy(f, kept)
		w.send(t, f)
	}
}

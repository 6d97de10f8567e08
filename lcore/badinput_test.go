package lcore_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"turnout/lcore"
	"turnout/lcore/frame"
)

// A badFrame is a malformed frame for a service, and the reason that it must be dropped for.
type badFrame struct {
	name  string
	frame []byte
	want  lcore.Reason
}

// badFrames are frames of every truncation, and such whose headers lie.
func badFrames(t testing.TB) (all []badFrame) {
	segment, datagram, request := tcp(t, 40000, 80, "S"), udp(t, 5000, 53), echo(t, "192.168.57.100", 8)
	sound := map[string][]byte{"tcp": segment, "udp": datagram, "icmp": request, "tcp with IP options": with(segment, options(10))}
	for name, f := range sound {
		f = with(f, cut(atIP+int(binary.BigEndian.Uint16(f[atLength:])))) // without padding
		all = append(all, truncated(name, f)...)
		all = append(all, cutShort(name, f)...)
		all = append(all, lies(name, f)...)
	}
	return all
}

// truncated cuts a frame at every length; its headers still tell of all of it.
func truncated(name string, f []byte) (all []badFrame) {
	for n := range f {
		want := lcore.ReasonBadLength
		if n < atL4 {
			want = lcore.ReasonTooShort
		}
		all = append(all, badFrame{fmt.Sprintf("%s cut to %d bytes", name, n), with(f, cut(n)), want})
	}
	return all
}

// cutShort cuts the transport header at every length, with a total length that says so, padded and not.
func cutShort(name string, f []byte) (all []badFrame) {
	header := 4 * int(f[atIP]&15)
	whole := map[byte]int{frame.ProtocolTCP: frame.TCPLen, frame.ProtocolUDP: frame.UDPLen, frame.ProtocolICMP: frame.ICMPLen}[f[atProtocol]]
	for n := range whole {
		short := with(f, totalLen(header+n))
		all = append(all,
			badFrame{fmt.Sprintf("%s with %d bytes behind its IP header, padded", name, n), short, lcore.ReasonTooShort},
			badFrame{fmt.Sprintf("%s with %d bytes behind its IP header", name, n), with(short, cut(atIP+header+n)), lcore.ReasonTooShort})
	}
	return all
}

// lies changes version, header length and total length to every wrong value.
func lies(name string, f []byte) (all []badFrame) {
	ihl := f[atIP] & 15
	for v := range byte(16) {
		if v != 4 {
			all = append(all, badFrame{fmt.Sprintf("%s of version %d", name, v), with(f, put(atIP, v<<4|ihl)), lcore.ReasonBadVersion})
		}
		if v < 5 {
			all = append(all, badFrame{fmt.Sprintf("%s of IHL %d", name, v), with(f, put(atIP, 4<<4|v)), lcore.ReasonBadHeader})
		}
		if int(v)*4 > len(f)-atIP {
			all = append(all, badFrame{fmt.Sprintf("%s of IHL %d", name, v), with(f, put(atIP, 4<<4|v)), lcore.ReasonBadLength})
		}
	}
	for n := range 4 * int(ihl) {
		all = append(all, badFrame{fmt.Sprintf("%s of total length %d", name, n), with(f, totalLen(n)), lcore.ReasonBadLength})
	}
	for n := len(f) - atIP + 1; n < 1<<16; n = 2*n + 1 {
		all = append(all, badFrame{fmt.Sprintf("%s of total length %d", name, n), with(f, totalLen(n)), lcore.ReasonBadLength})
	}
	return all
}

// TestBadInput sends each malformed frame alone, then all of them between sound ones.
func TestBadInput(t *testing.T) {
	b := newBench(t, 1024, town(t))
	var stream [][]byte
	for _, bad := range badFrames(t) {
		if got, want := b.checked(t, bad.frame), "drop "+bad.want.String(); got != want {
			t.Errorf("%s: got %q, want %q", bad.name, got, want)
		}
		stream = append(stream, bad.frame, tcp(t, 40000, 80, "A"))
	}
	for i, d := range b.run(stream...) {
		want, after := lcore.Drop, d.Before
		if i%2 == 1 {
			want, after = lcore.Forward, rewritten(d.Before, realMAC(0))
		}
		if d.Verdict != want {
			t.Fatalf("frame %d of the stream: %s, want %s", i, verdicts[d.Verdict], verdicts[want])
		}
		compareFrames(t, "a frame of the stream", d.After, after)
	}
	if err := b.balance(); err != nil {
		t.Error(err)
	}
}

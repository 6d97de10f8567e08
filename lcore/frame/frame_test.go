package frame_test

import (
	"encoding/binary"
	"net"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"turnout/lcore/frame"
)

func TestParseMAC(t *testing.T) {
	for _, c := range []struct {
		text string
		want frame.MAC
		ok   bool
	}{
		{"02:00:00:00:01:21", frame.MAC{2, 0, 0, 0, 1, 0x21}, true},
		{"FF:ff:fF:00:aB:9c", frame.MAC{0xff, 0xff, 0xff, 0, 0xab, 0x9c}, true},
		{"", frame.MAC{}, false},
		{"02:00:00:00:01", frame.MAC{}, false},
		{"02:00:00:00:01:2g", frame.MAC{}, false},
		{"02-00-00-00-01-21", frame.MAC{}, false},
		{"02:00:00:00:01:21:22", frame.MAC{}, false},
		{"020:0:00:00:01:21", frame.MAC{}, false},
		{":::::020000000121", frame.MAC{}, false},
	} {
		got, err := frame.ParseMAC(c.text)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("ParseMAC(%q): got %v, %v; want %v, fine: %v", c.text, got, err, c.want, c.ok)
		}
	}
}

// TestMACText compares with the standard library's text.
func TestMACText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var m frame.MAC
		for i := range m {
			m[i] = rapid.Byte().Draw(r, "byte")
		}
		if got, want := m.String(), net.HardwareAddr(m[:]).String(); got != want {
			r.Fatalf("%q, want %q", got, want)
		}
		if back, err := frame.ParseMAC(m.String()); back != m || err != nil {
			r.Fatalf("%v reads back as %v, %v", m, back, err)
		}
		if got, want := m.Word(), binary.LittleEndian.Uint64(append(m[:], 0, 0)); got != want {
			r.Fatalf("%v has the value %x, want %x", m, got, want)
		}
		if m.Group() != (m[0]%2 == 1) {
			r.Fatalf("%v: group is %v", m, m.Group())
		}
	})
}

func TestCheckIPv4(t *testing.T) {
	sound := func() []byte {
		f := make([]byte, 60)
		f[14], f[17] = 0x45, 40
		return f
	}
	for _, c := range []struct {
		name   string
		change func(f []byte) []byte
		want   frame.Fault
	}{
		{"sound, padded", func(f []byte) []byte { return f }, frame.FaultNone},
		{"sound, not padded", func(f []byte) []byte { return f[:54] }, frame.FaultNone},
		{"a header and nothing else", func(f []byte) []byte { f[17] = 20; return f[:34] }, frame.FaultNone},
		{"header cut", func(f []byte) []byte { return f[:33] }, frame.FaultShort},
		{"no header", func(f []byte) []byte { return f[:14] }, frame.FaultShort},
		{"version 0", func(f []byte) []byte { f[14] = 0x05; return f }, frame.FaultVersion},
		{"version 6", func(f []byte) []byte { f[14] = 0x65; return f }, frame.FaultVersion},
		{"IHL 0", func(f []byte) []byte { f[14] = 0x40; return f }, frame.FaultHeader},
		{"IHL 4", func(f []byte) []byte { f[14] = 0x44; return f }, frame.FaultHeader},
		{"IHL beyond the packet", func(f []byte) []byte { f[14] = 0x4b; return f }, frame.FaultLength},
		{"IHL beyond the frame", func(f []byte) []byte { f[14], f[17] = 0x4f, 60; return f }, frame.FaultLength},
		{"total length 0", func(f []byte) []byte { f[17] = 0; return f }, frame.FaultLength},
		{"total length under the header's", func(f []byte) []byte { f[17] = 19; return f }, frame.FaultLength},
		{"total length beyond the frame", func(f []byte) []byte { f[17] = 47; return f }, frame.FaultLength},
		{"total length 65535", func(f []byte) []byte { f[16], f[17] = 0xff, 0xff; return f }, frame.FaultLength},
	} {
		f := c.change(sound())
		if got := frame.CheckIPv4(unsafe.Pointer(&f[0]), uint32(len(f))); got != c.want {
			t.Errorf("%s: fault %d, want %d", c.name, got, c.want)
		}
	}
}

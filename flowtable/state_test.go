package flowtable_test

import (
	"testing"

	. "turnout/flowtable"
)

const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	psh = 0x08
	ack = 0x10
	urg = 0x20
)

func TestStateNext(t *testing.T) {
	before := []State{None, SynReceived, Established, FinWait, TimeWait, Close, UDP, SynSettled}
	for _, row := range []struct {
		name  string
		flags []uint8
		want  []State
	}{
		{"syn", []uint8{syn, syn | ack, syn | fin, syn | psh | urg},
			[]State{SynReceived, SynReceived, Established, SynReceived, SynReceived, SynReceived, UDP, SynReceived}},
		{"fin", []uint8{fin, fin | ack, fin | psh | ack},
			[]State{Close, TimeWait, FinWait, FinWait, TimeWait, Close, UDP, TimeWait}},
		{"ack", []uint8{ack, ack | psh, ack | urg | 0xc0},
			[]State{Established, Established, Established, FinWait, TimeWait, Close, UDP, Established}},
		{"rst", []uint8{rst, rst | ack, rst | syn, rst | syn | fin | ack},
			[]State{Close, SynSettled, Close, Close, Close, Close, UDP, SynSettled}},
		{"none", []uint8{0, psh, urg, 0xc0 | psh},
			[]State{Close, Close, Close, Close, Close, Close, UDP, Close}},
	} {
		for _, flags := range row.flags {
			for i, s := range before {
				if got := s.Next(flags); got != row.want[i] {
					t.Errorf("%s: %v.Next(%#x) = %v, want %v", row.name, s, flags, got, row.want[i])
				}
				steady := s == row.want[i] && !(s == SynReceived && row.name == "syn")
				if got := s.Steady(flags); got != steady {
					t.Errorf("%s: %v.Steady(%#x) = %v", row.name, s, flags, got)
				}
			}
		}
	}
}

func TestStateNames(t *testing.T) {
	for s, want := range []string{"none", "syn_received", "established", "fin_wait", "time_wait", "close", "udp", "syn_received", "unknown"} {
		if got := State(s).String(); got != want {
			t.Errorf("State(%d) = %q, want %q", s, got, want)
		}
	}
}

func TestStateReusable(t *testing.T) {
	want := map[State]bool{FinWait: true, TimeWait: true, Close: true}
	for s := None; s <= SynSettled; s++ {
		if got := s.Reusable(); got != want[s] {
			t.Errorf("%v.Reusable() = %v", s, got)
		}
	}
}

func TestAge(t *testing.T) {
	const hour = 3600 * TicksPerSecond
	for _, row := range []struct {
		name  string
		state State
		start uint16
		now   uint32
		want  uint32
	}{
		{"seconds", Established, 10, 15*TicksPerSecond + 3, 5000},
		{"seconds have wrapped", FinWait, 65535, 20*hour + 0, (20*3600 - 65535) * 1000},
		{"a SYN at the end of this tick", SynReceived, 10*125/2 + 62, 10, 0},
		{"a SYN at its beginning", SynReceived, 10 * 125 / 2, 10, 62},
		{"a SYN of a second ago", SynReceived, 1000, 2*TicksPerSecond - 1, 1000},
		{"milliseconds have wrapped", SynReceived, 65000, 66*TicksPerSecond - 1, 1000},
		{"ticks have wrapped", SynReceived, 1<<16 - 1000, 1<<32 - 1, 1000},
	} {
		if got := (&Flow{State: row.state, Start: row.start}).Age(row.now); got != row.want {
			t.Errorf("%s: %d ms, want %d", row.name, got, row.want)
		}
	}
}

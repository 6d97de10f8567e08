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
	before := []State{None, SynReceived, Established, FinWait, TimeWait, Close, UDP}
	for _, row := range []struct {
		name  string
		flags []uint8
		want  []State
	}{
		{"syn", []uint8{syn, syn | ack, syn | fin, syn | psh | urg},
			[]State{SynReceived, SynReceived, Established, SynReceived, SynReceived, SynReceived, UDP}},
		{"fin", []uint8{fin, fin | ack, fin | psh | ack},
			[]State{Close, TimeWait, FinWait, FinWait, TimeWait, Close, UDP}},
		{"ack", []uint8{ack, ack | psh, ack | urg | 0xc0},
			[]State{Established, Established, Established, FinWait, TimeWait, Close, UDP}},
		{"rst", []uint8{rst, rst | ack, rst | syn, rst | syn | fin | ack},
			[]State{Close, SynReceived, Close, Close, Close, Close, UDP}},
		{"none", []uint8{0, psh, urg, 0xc0 | psh},
			[]State{Close, Close, Close, Close, Close, Close, UDP}},
	} {
		for _, flags := range row.flags {
			for i, s := range before {
				if got := s.Next(flags); got != row.want[i] {
					t.Errorf("%s: %v.Next(%#x) = %v, want %v", row.name, s, flags, got, row.want[i])
				}
			}
		}
	}
}

func TestStateNames(t *testing.T) {
	for s, want := range []string{"none", "syn_received", "established", "fin_wait", "time_wait", "close", "udp", "unknown"} {
		if got := State(s).String(); got != want {
			t.Errorf("State(%d) = %q, want %q", s, got, want)
		}
	}
}

func TestStateReusable(t *testing.T) {
	want := map[State]bool{FinWait: true, TimeWait: true, Close: true}
	for s := None; s <= UDP; s++ {
		if got := s.Reusable(); got != want[s] {
			t.Errorf("%v.Reusable() = %v", s, got)
		}
	}
}

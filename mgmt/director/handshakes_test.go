package director

import (
	"testing"

	"turnout/lcore"
)

func TestHandshakesAreSummedUp(t *testing.T) {
	var counted totals
	if h := handshakes(&counted); h.MedianMS != nil || h.P99MS != nil || h.UnansweredShare != 0 {
		t.Errorf("of none: %+v", h)
	}
	counted.syns, counted.unanswered = 210, 50
	counted.handshakes.Times[0], counted.handshakes.Times[15] = 90, 60 // under 1 ms; from 192 to 256 ms
	h := handshakes(&counted)
	if h.Answered != 150 || h.UnansweredShare != 0.25 || *h.MedianMS != 75.0/90 || *h.P99MS != 192+64*58.5/60 {
		t.Errorf("%+v: median %v ms, p99 %v ms", h, *h.MedianMS, *h.P99MS)
	}
}

func TestHandshakeTimesDouble(t *testing.T) {
	times := lcore.Handshakes{Milliseconds: 2500}
	for i := range times.Times {
		times.Times[i] = 1
	}
	m := handshakeTimes(&times)
	if last := len(m.Bounds) - 1; m.Bounds[0] != 0.001 || m.Bounds[1] != 0.002 || m.Bounds[last] != 65.536 || last != 16 || m.Cumulative[2] != 4 ||
		m.Cumulative[last] != 32 || m.Count != 32 || m.Sum != 2.5 {
		t.Errorf("%+v", m)
	}
}

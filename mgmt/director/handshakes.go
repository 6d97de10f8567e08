package director

import (
	"turnout/lcore"
	"turnout/mgmt/api"
	"turnout/mgmt/metrics"
)

// handshakes tells what clients' packets have told of connections to a real server.
func handshakes(t *totals) api.Handshakes {
	h := api.Handshakes{
		Syns: t.syns, Retransmissions: t.handshakes.Retransmissions, Unanswered: t.unanswered,
		Resets: t.handshakes.Resets, Fins: t.handshakes.Fins, Counted: t.handshakes,
	}
	h.Answered = answers(&t.handshakes)
	if ended := h.Answered + h.Unanswered; ended > 0 {
		h.UnansweredShare = float64(h.Unanswered) / float64(ended)
	}
	if h.Answered > 0 {
		median, p99 := quantile(&t.handshakes.Times, h.Answered, 0.5), quantile(&t.handshakes.Times, h.Answered, 0.99)
		h.MedianMS, h.P99MS = &median, &p99
	}
	return h
}

// answers is how many handshakes were answered.
func answers(h *lcore.Handshakes) (n uint64) {
	for _, times := range h.Times {
		n += times
	}
	return n
}

// quantile is the time in milliseconds under which a share of the count of handshakes took, taking those of a bucket to
// be spread evenly over it.
func quantile(times *[lcore.HandshakeBuckets]uint64, count uint64, share float64) float64 {
	rank, from := share*float64(count), 0.0
	for i, n := range times {
		to := float64(lcore.HandshakeBound(i))
		if rank <= float64(n) && n > 0 {
			return from + (to-from)*rank/float64(n)
		}
		rank -= float64(n)
		from = to
	}
	return from
}

// handshakeTimes exposes every other bucket: they end at a millisecond and its doublings.
func handshakeTimes(h *lcore.Handshakes) metrics.Histogram {
	m := metrics.Histogram{Sum: float64(h.Milliseconds) / 1000}
	for i, n := range h.Times {
		m.Count += n
		if bound := lcore.HandshakeBound(i); bound&(bound-1) == 0 {
			m.Bounds = append(m.Bounds, float64(bound)/1000)
			m.Cumulative = append(m.Cumulative, m.Count)
		}
	}
	return m
}

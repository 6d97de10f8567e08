package health

import (
	"sort"
	"time"
)

// Bounds are the upper bounds of a Histogram's buckets, in seconds. They are few because each is a time series per real
// server.
var Bounds = [...]float64{0.001, 0.005, 0.025, 0.1, 0.5, 1, 5}

// Histogram counts durations by size. The zero value is empty.
type Histogram struct {
	buckets [len(Bounds) + 1]uint64 // not cumulative; the last is for what exceeds every bound
	sum     time.Duration
}

func (h *Histogram) observe(d time.Duration) {
	h.buckets[sort.SearchFloat64s(Bounds[:], d.Seconds())]++
	h.sum += d
}

// Cumulative returns the number of durations, their sum in seconds, and for each bound how many did not exceed it: the
// three values that prometheus.NewConstHistogram takes.
func (h Histogram) Cumulative() (count uint64, sum float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(Bounds))
	for i, bound := range Bounds {
		count += h.buckets[i]
		buckets[bound] = count
	}
	return count + h.buckets[len(Bounds)], h.sum.Seconds(), buckets
}

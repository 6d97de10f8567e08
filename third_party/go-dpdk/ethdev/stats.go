package ethdev

/*
#include <rte_ethdev.h>
*/
import "C"

import (
	"unsafe"

	"github.com/yerden/go-dpdk/internal/errno"
)

// Stats holds a port's counters as DPDK lays them out.
type Stats C.struct_rte_eth_stats

// GoStats holds a port's counters since it started or StatsReset, in frames
// except where it says bytes.
type GoStats struct {
	// Ipackets counts frames received.
	Ipackets uint64 `metric:"ipackets" type:"counter"`
	// Opackets counts frames transmitted.
	Opackets uint64 `metric:"opackets" type:"counter"`
	// Ibytes counts bytes received.
	Ibytes uint64 `metric:"ibytes" type:"counter"`
	// Obytes counts bytes transmitted.
	Obytes uint64 `metric:"obytes" type:"counter"`
	// Imissed counts frames dropped because queues were full.
	Imissed uint64 `metric:"imissed" type:"counter"`
	// Ierrors counts frames received with errors.
	Ierrors uint64 `metric:"ierrors" type:"counter"`
	// Oerrors counts frames that could not be transmitted.
	Oerrors uint64 `metric:"oerrors" type:"counter"`
	// RxNoMbuf counts failures to take an mbuf from the pool.
	RxNoMbuf uint64 `metric:"rxnombuf" type:"counter"`
}

// GoStats is read in place over the first fields of struct rte_eth_stats.
var _ = [1]struct{}{}[unsafe.Offsetof(C.struct_rte_eth_stats{}.rx_nombuf)-unsafe.Offsetof(GoStats{}.RxNoMbuf)]

// Cast returns s, in place, with Go's field names.
func (s *Stats) Cast() *GoStats { return (*GoStats)(unsafe.Pointer(s)) }

// StatsGet fills stats.
func (pid Port) StatsGet(stats *Stats) error {
	return errno.From(int(C.rte_eth_stats_get(pid.c(), (*C.struct_rte_eth_stats)(stats))))
}

// StatsReset sets the counters to 0.
func (pid Port) StatsReset() error { return errno.From(int(C.rte_eth_stats_reset(pid.c()))) }

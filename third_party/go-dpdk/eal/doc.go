// Package eal starts DPDK's Environment Abstraction Layer and runs Go functions
// on its threads, the lcores.
//
// A function given to ExecOnLcore runs on the real EAL thread, so rte_lcore_id
// is set there and mempool caches work. An lcore runs one function at a time,
// in the order given.
package eal

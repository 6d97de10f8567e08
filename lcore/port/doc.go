// Package port is the data plane's only view of DPDK: it starts EAL, sets ports and queues up, and makes the one cgo call
// of a worker's turn.
//
// Reading order: eal.go (start and stop), port.go (a port and its queues), budget.go (how many mbufs), queue.go and
// turn.c (the fused call).
package port

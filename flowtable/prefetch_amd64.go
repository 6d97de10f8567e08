package flowtable

import "unsafe"

// In assembly, because Go has no prefetch instruction; one call per burst,
// because a call per packet would cost as much as it gains.

//go:noescape
func prefetchPrimary(base unsafe.Pointer, buckets uint64, hashes []uint64)

//go:noescape
func prefetchSecondary(base unsafe.Pointer, buckets uint64, hashes []uint64)

//go:build !amd64

package flowtable

import "unsafe"

// Loads that do not depend on each other are under way together on a CPU that
// runs out of order, so touching the lines does most of what prefetching does.

func prefetchPrimary(base unsafe.Pointer, buckets uint64, hashes []uint64) {
	t := Table{base: base, buckets: buckets}
	for _, h := range hashes {
		touch(t.bucket(t.primary(h)))
	}
}

func prefetchSecondary(base unsafe.Pointer, buckets uint64, hashes []uint64) {
	t := Table{base: base, buckets: buckets}
	for _, h := range hashes {
		p := t.primary(h)
		if b := t.bucket(p); touch(b) != 0 {
			touch(t.bucket(t.secondary(h, p)))
		}
	}
}

// touch is not inlined, so that the compiler cannot drop the load.
//
//go:noinline
func touch(b *bucket) uint8 { return b.overflow }

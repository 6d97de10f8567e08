// Package flowtable remembers which real server has each IPv4 flow.
//
// A Table belongs to one lcore, which alone reads and writes it: there are no
// locks, no atomics, no allocation and no clock in it. Its memory is mapped
// outside the Go heap, has a fixed size, and holds no pointers.
//
// # Shape
//
// The table is an array of buckets, one per flow that it promises to hold, so
// 64 bytes per flow. A bucket is one cache line: three flows of 20 bytes, a
// one-byte tag of each, and an overflow count. A key has two candidate buckets,
// the primary and the secondary, which are never the same one.
// A flow lives in its primary unless that was full when it came; the overflow
// count of a bucket says how many flows of its own live in their secondary, so
// that the second line is touched only where it can matter. With as many flows
// as buckets about 97 of 100 flows live in their primary.
//
// # A burst
//
// A look-up that misses the caches waits for memory longer than all other work
// on a packet takes. So the owner works on a whole burst, stage by stage:
//
//	for i := range keys {
//		hashes[i] = t.Hash(&keys[i])
//	}
//	t.Prefetch(hashes[:n])          // the primaries, all under way at once
//	t.PrefetchSecondary(hashes[:n]) // the few secondaries that may be needed
//	for i := range keys {
//		f := t.Lookup(hashes[i], &keys[i], now)
//		if f == nil {
//			f = t.Insert(hashes[i], &keys[i], now) // may be nil: forward without
//		}
//	}
//	t.Sweep(now, t.SweepBudget(now))
//	for i := range t.Left() { ... } // flows that expired or were evicted
//	t.ClearLeft()
//
// Look-up and insert are not split into two passes over the burst, because two
// packets of one new flow may come in the same burst, and because an insert may
// move other flows: a *Flow is valid until the next Insert, Remove, Sweep or
// Close, and until a Lookup that finds that same flow expired.
//
// # Time
//
// Time is a count of 1/16 s ticks that the owner hands in; it may start
// anywhere and wrap. A flow may be given at most 2^31-1 ticks to live.
//
// # Templates
//
// Templates remember clients instead of flows, for services with persistence.
// They are the one thing here that lcores share, by compare-and-swap.
//
// Reading order: flow.go, bucket.go, table.go, insert.go, left.go, sweep.go;
// state.go and memory.go stand alone, and so do templates.go (how lcores use
// them) and templates_list.go (how the management does).
package flowtable

package flowtable

// passTicks is the time in which the sweeper means to visit every bucket: 8 s.
const passTicks = 8 * TicksPerSecond

// Sweep takes out the expired flows of the next maxBuckets buckets, in a circle,
// so that expiry does not wait for traffic. It stops early when half of Left
// is taken.
func (t *Table) Sweep(now uint32, maxBuckets int) {
	visits := 0
	for ; visits < maxBuckets && t.leftCount+slots <= leftSize-leftReserve; visits++ {
		t.sweepBucket(t.bucket(t.cursor), now)
		if t.cursor++; t.cursor == t.buckets {
			t.cursor = 0
		}
	}
	t.owed -= min(t.owed, uint64(visits)*passTicks)
}

func (t *Table) sweepBucket(b *bucket, now uint32) {
	for i := range uintptr(slots) {
		if *b.tag(i) != 0 && b.flow(i).Expired(now) {
			t.expire(b, i)
		}
	}
}

// SweepBudget returns how many buckets Sweep should visit at tick now for a
// full pass to take about 8 s: at most 64, so an owner whose loop turns too
// seldom for that (10 M buckets need 20 k turns a second) takes longer for a
// pass, or calls Sweep more often.
func (t *Table) SweepBudget(now uint32) int {
	if now != t.paid {
		t.owed = min(t.owed+uint64(now-t.paid)*t.buckets, t.buckets*passTicks)
		t.paid = now
	}
	return int(min(t.owed/passTicks, burst))
}

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
	for set := b.expired(now); set != 0; set = set.withoutFirst() {
		t.expire(b, set.first())
	}
}

// expired returns the slots whose flow is expired. Without branches: which slots
// are taken cannot be predicted.
func (b *bucket) expired(now uint32) slotSet {
	alive := uint32(0)
	for i := range b.flows {
		alive |= (now - b.flows[i].Expiry) >> 31 << (8*i + 7)
	}
	return b.taken() &^ slotSet(alive)
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

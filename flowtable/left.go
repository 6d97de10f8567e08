package flowtable

// burst is the number of packets that the owner handles at once, and the most
// buckets that one call visits for other ends.
const burst = 64

// leftSize is room for what one turn of the owner's loop can take out: a
// Lookup or an Insert takes out one flow at most, and Sweep keeps away from the
// last leftReserve places.
const (
	leftReserve = 2 * burst
	leftSize    = 4 * burst
)

// Left returns the flows that expired or were evicted since ClearLeft, so that
// the owner can keep its flow counts. It is the table's own memory, valid until
// the next call of any other method.
//
// An owner that does not clear it loses nothing: when all 256 places are taken,
// expired flows stay, as if they lived, and nothing is evicted.
func (t *Table) Left() []Flow { return t.left[:min(t.leftCount, leftSize)] }

// ClearLeft forgets what Left returned.
func (t *Table) ClearLeft() { t.leftCount = 0 }

// expire takes out a flow whose time is over; false if Left has no place for it.
func (t *Table) expire(b *bucket, i uintptr) bool {
	if !t.leave(b, i) {
		return false
	}
	t.Stats.Expirations++
	return true
}

// evict takes out a flow before its time; false if Left has no place for it.
func (t *Table) evict(b *bucket, i uintptr) bool {
	if !t.leave(b, i) {
		return false
	}
	t.Stats.Evictions++
	return true
}

func (t *Table) leave(b *bucket, i uintptr) bool {
	if t.leftCount >= leftSize {
		return false
	}
	t.left[t.leftCount] = *b.flow(i)
	t.leftCount++
	t.clear(b, i)
	return true
}

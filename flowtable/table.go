package flowtable

import (
	"math/bits"
	"unsafe"
)

// Stats counts what happened since New. Plain fields: only the owner reads them.
type Stats struct {
	Entries       uint64 // flows held now, expired ones that were not yet seen included
	Inserts       uint64
	Displacements uint64 // flows moved to their other bucket to make room
	Expirations   uint64
	Evictions     uint64 // unexpired flows dropped for a new one
	Full          uint64 // inserts refused
}

// A Table maps keys to flows. The zero value is not usable; see New.
type Table struct {
	base    unsafe.Pointer // of the buckets, in memory
	buckets uint64
	seed    [2]uint64

	Stats Stats

	left      [leftSize]Flow
	leftCount uint

	strays  uint64 // flows that live in their secondary
	crowded uint   // inserts that do not try to move a flow

	cursor uint64 // next bucket to sweep
	owed   uint64 // bucket visits that the sweeper is behind, times passTicks
	paid   uint32 // tick at which owed was last worked out

	memory  []byte
	backing string
}

// Hash returns the keyed hash of k: two multiplications of 64x64 to 128 bits,
// each folded. Its high half picks the primary, its low half the secondary, its
// low byte is the tag.
func (t *Table) Hash(k *Key) uint64 {
	high, low := bits.Mul64(k.tuple()^t.seed[0], uint64(k.Service)^t.seed[1])
	high, low = bits.Mul64(high^low^t.seed[1], t.seed[0])
	return high ^ low
}

// Lookup returns the flow of k, whose hash is h, or nil. A flow that expired by
// tick now is taken out, told of in Left, and counts as missing.
func (t *Table) Lookup(h uint64, k *Key, now uint32) *Flow {
	p := t.primary(h)
	b, tag := t.bucket(p), tagOf(h)
	f := b.find(tag, k)
	if f == nil && b.overflow != 0 {
		b = t.bucket(t.secondary(h, p))
		f = b.find(tag, k)
	}
	if f == nil || f.Expired(now) && t.expire(b, b.slotOf(f)) {
		return nil
	}
	return f
}

// LookupBurst looks up the keys of a burst, whose hashes are given, as Lookup
// does one by one; found[i] is the flow of keys[i], or nil. The three are of
// one length. The flows are valid until the next Insert.
func (t *Table) LookupBurst(hashes []uint64, keys []Key, now uint32, found []*Flow) {
	keys, found = keys[:len(hashes)], found[:len(hashes)]
	for i, h := range hashes {
		k := &keys[i]
		b := t.bucket(t.primary(h))
		if set := b.tagged(tagOf(h)); set != 0 { // its first slot has the tag for certain
			if f := b.flow(set.first()); f.is(k) && !f.Expired(now) {
				found[i] = f
				continue
			}
		}
		found[i] = t.Lookup(h, k, now)
	}
}

// Remove takes out a flow that Lookup or Insert returned. It is not told of in
// Left: the owner has it in its hands.
func (t *Table) Remove(f *Flow) {
	offset := uintptr(unsafe.Pointer(f)) - uintptr(t.base)
	b := t.bucket(uint64(offset / bucketSize))
	t.clear(b, b.slotOf(f))
}

// clear empties a slot and, where its flow lived in its secondary, tells the primary.
func (t *Table) clear(b *bucket, i uintptr) {
	key := b.flow(i).Key()
	if p := t.bucket(t.primary(t.Hash(&key))); p != b {
		p.receded()
		t.strays--
	}
	*b.tag(i) = 0
	t.Stats.Entries--
}

// Prefetch brings the primaries of these hashes towards the CPU, all at once.
func (t *Table) Prefetch(hashes []uint64) {
	prefetchPrimary(t.base, t.buckets, hashes)
}

// PrefetchSecondary brings, some time after Prefetch, the secondaries of those
// hashes whose primary has overflowed. While few flows live in their
// secondary it does nothing.
func (t *Table) PrefetchSecondary(hashes []uint64) {
	if t.strays*fewStrays < t.Stats.Entries {
		return
	}
	prefetchSecondary(t.base, t.buckets, hashes)
}

// fewStrays is the share of flows in their secondary, one in so many, below
// which looking for them beforehand costs more than waiting for them.
const fewStrays = 64

// CopyFrom copies flows, expired ones included, into out: those of at most
// maxBuckets buckets, never more than 64, from the cursor on, and of whole
// buckets only, so out needs room for 3 at least. It returns how many it
// copied, the cursor to go on from, and whether it was the last of them. The
// first cursor is 0. A flow that is moved in between may be listed twice or
// not at all.
func (t *Table) CopyFrom(cursor uint64, maxBuckets int, out []Flow) (n int, next uint64, done bool) {
	end := min(t.buckets, cursor+uint64(max(0, min(maxBuckets, burst))))
	for ; cursor < end && len(out)-n >= slots; cursor++ {
		n += t.bucket(cursor).copyTo(out[n:])
	}
	return n, cursor, cursor >= t.buckets
}

func (b *bucket) copyTo(out []Flow) (n int) {
	for i, tag := range b.tags {
		if tag != 0 {
			out[n] = b.flows[i]
			n++
		}
	}
	return n
}

// Capacity returns the number of live flows that the table promises to hold.
func (t *Table) Capacity() int { return int(t.buckets) }

func (t *Table) bucket(i uint64) *bucket {
	return (*bucket)(unsafe.Add(t.base, i*bucketSize))
}

// primary and secondary scale a half of the hash to the number of buckets,
// which need not be a power of two. The secondary is drawn from the buckets
// other than the primary p.
func (t *Table) primary(h uint64) uint64 { return h >> 32 * t.buckets >> 32 }

func (t *Table) secondary(h, p uint64) uint64 {
	s := uint64(uint32(h)) * (t.buckets - 1) >> 32
	if s >= p {
		s++
	}
	return s
}

// tagOf returns the low byte of the hash, or 1 for 0. Up to 2^24 buckets it is
// independent of the choice of buckets; beyond, tags tell less, nothing else.
func tagOf(h uint64) uint8 {
	return uint8(h) | uint8((uint32(uint8(h))-1)>>31)
}

package flowtable

// Insert makes an entry for k, whose hash is h, and returns it with all but its
// key zero, or returns nil if there is no room and no flow that may go. The key
// must not be in the table: Lookup has just said so.
//
// Room is looked for in the primary, in the secondary, by moving one of their
// six flows to its other bucket, and by evicting that of the six which is being
// opened or closed and is the soonest to expire.
func (t *Table) Insert(h uint64, k *Key, now uint32) *Flow {
	p := t.primary(h)
	home := t.bucket(p)
	if i := t.room(home, now); i < slots {
		return t.place(home, i, tagOf(h), k)
	}
	away := t.bucket(t.secondary(h, p))
	b, i := t.makeRoom(home, away, now)
	if i == slots {
		t.Stats.Full++
		return nil
	}
	if b != home {
		home.overflowed()
		t.strays++
	}
	return t.place(b, i, tagOf(h), k)
}

// room returns a slot of b that is empty, if need be by expiring its flow, or
// slots if there is none.
func (t *Table) room(b *bucket, now uint32) uintptr {
	if empty := b.tagged(0); empty != 0 {
		return empty.first()
	}
	for i := range uintptr(slots) {
		if b.flow(i).Expired(now) && t.expire(b, i) {
			return i
		}
	}
	return slots
}

// makeRoom returns an empty slot of one of the two buckets, of which home is
// full, or slots as the slot.
func (t *Table) makeRoom(home, away *bucket, now uint32) (*bucket, uintptr) {
	if i := t.room(away, now); i < slots {
		return away, i
	}
	if t.crowded > 0 {
		t.crowded--
		return t.evictOne(home, away, now)
	}
	for _, b := range [...]*bucket{home, away} {
		if i := t.displaceOne(b, now); i < slots {
			return b, i
		}
	}
	t.crowded = crowdedInserts
	return t.evictOne(home, away, now)
}

// crowdedInserts is how many inserts do not look for a flow to move after one
// that found all six other buckets full: below the promised number of flows
// that does not happen, and above it, in a flood, the six cache misses would
// cost each packet more than all else.
const crowdedInserts = 255

// displaceOne moves a flow of b to its other bucket and returns its slot, which
// is now to be overwritten, or slots if those buckets are full too.
func (t *Table) displaceOne(b *bucket, now uint32) uintptr {
	for i := range uintptr(slots) {
		if t.displace(b, i, now) {
			return i
		}
	}
	return slots
}

func (t *Table) displace(b *bucket, i uintptr, now uint32) bool {
	key := b.flow(i).Key()
	h := t.Hash(&key)
	p := t.primary(h)
	home, away := t.bucket(p), t.bucket(t.secondary(h, p))
	to := away
	if b != home {
		to = home
	}
	j := t.room(to, now)
	if j == slots {
		return false
	}
	*to.flow(j), *to.tag(j) = *b.flow(i), *b.tag(i)
	if to == home {
		home.receded()
		t.strays--
	} else {
		home.overflowed()
		t.strays++
	}
	t.Stats.Displacements++
	return true
}

// evictOne empties a slot of two full buckets, or returns slots as the slot.
func (t *Table) evictOne(home, away *bucket, now uint32) (victim *bucket, slot uintptr) {
	slot = slots
	var soonest int32 // ticks
	for _, b := range [...]*bucket{home, away} {
		for i := range uintptr(slots) {
			f := b.flow(i)
			life := int32(f.Expiry - now)
			if f.State.evictable() && (slot == slots || life < soonest) {
				victim, slot, soonest = b, i, life
			}
		}
	}
	if slot < slots && !t.evict(victim, slot) {
		slot = slots
	}
	return victim, slot
}

// place writes a new flow into an empty slot.
func (t *Table) place(b *bucket, i uintptr, tag uint8, k *Key) *Flow {
	*b.tag(i) = tag
	f := b.flow(i)
	*f = Flow{VIPPort: k.VIPPort, ClientPort: k.ClientPort, Client: k.Client, Service: k.Service}
	t.Stats.Inserts++
	t.Stats.Entries++
	return f
}

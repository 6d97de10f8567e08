package flowtable

import "fmt"

const (
	LeftSize  = leftSize
	PassTicks = passTicks
	Slots     = slots
)

// Check walks the whole table and compares it with what it must be by the
// hashes of the keys it holds.
func (t *Table) Check() error {
	away := make(map[uint64]uint8)
	entries := uint64(0)
	for i := range t.buckets {
		b := t.bucket(i)
		for j, tag := range b.tags {
			if tag == 0 {
				continue
			}
			entries++
			key := b.flows[j].Key()
			h := t.Hash(&key)
			p := t.primary(h)
			if s := t.secondary(h, p); i != p && i != s || s == p {
				return fmt.Errorf("%+v is in bucket %d, belongs in %d or %d", key, i, p, s)
			}
			if tag != tagOf(h) {
				return fmt.Errorf("%+v has tag %d, want %d", key, tag, tagOf(h))
			}
			if i != p {
				away[p]++
			}
		}
	}
	if entries != t.Stats.Entries {
		return fmt.Errorf("holds %d flows, counted %d", entries, t.Stats.Entries)
	}
	strays := uint64(0)
	for _, n := range away {
		strays += uint64(n)
	}
	if strays != t.strays {
		return fmt.Errorf("%d flows live in their secondary, counted %d", strays, t.strays)
	}
	for i := range t.buckets {
		if got := t.bucket(i).overflow; got != away[i] && got != overflowMax {
			return fmt.Errorf("bucket %d has overflow %d, want %d", i, got, away[i])
		}
	}
	return nil
}

// AtHome returns the share of flows that live in their primary.
func (t *Table) AtHome() float64 {
	away := uint64(0)
	for i := range t.buckets {
		away += uint64(t.bucket(i).overflow)
	}
	return 1 - float64(away)/float64(t.Stats.Entries)
}

// SetOverflow sets the overflow count of every bucket.
func (t *Table) SetOverflow(n uint8) {
	for i := range t.buckets {
		t.bucket(i).overflow = n
	}
}

// Overflow returns the overflow count of bucket i.
func (t *Table) Overflow(i uint64) uint8 { return t.bucket(i).overflow }

// Choice returns what the table makes of a hash.
func (t *Table) Choice(h uint64) (primary, secondary uint64, tag uint8) {
	primary = t.primary(h)
	return primary, t.secondary(h, primary), tagOf(h)
}

// Cursor returns the next bucket to sweep.
func (t *Table) Cursor() uint64 { return t.cursor }

// MemorySize returns the bytes that the table has mapped.
func (t *Table) MemorySize() int { return len(t.memory) }

func MapMemory(size int) error {
	_, _, err := mapMemory(size)
	return err
}

func AvailableMemory() int { return availableMemory() }

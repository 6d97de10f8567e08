package flowtable

import (
	"math/bits"
	"unsafe"
)

// slots is how many flows a bucket holds.
const slots = 3

// A bucket is one cache line.
type bucket struct {
	flows    [slots]Flow
	tags     [slots]uint8 // 8 hash bits of the flow beside it; 0: the slot is empty
	overflow uint8        // flows at home here that live in their secondary; 255 is "many" and stays
}

const (
	bucketSize  = 64
	overflowMax = 255
)

var _ [bucketSize]byte = [unsafe.Sizeof(bucket{})]byte{}

// One byte of each tag, for looking at the three tags of a bucket at once.
const (
	tagLow  = 0x010101
	tagHigh = 0x808080
)

// slotSet is a set of slots of a bucket: bit 8*i+7 stands for slot i.
type slotSet uint32

func (s slotSet) first() uintptr { return uintptr(bits.TrailingZeros32(uint32(s))) >> 3 }

func (s slotSet) withoutFirst() slotSet { return s & (s - 1) }

// tagged returns the slots whose tag may be the given one: all that have it
// and now and then a slot above one that has it. With tag 0 the first one in
// the set is an empty slot.
func (b *bucket) tagged(tag uint8) slotSet {
	diff := b.control() ^ uint32(tag)*tagLow
	return slotSet((diff - tagLow) &^ diff & tagHigh)
}

// taken returns the slots that hold a flow, exactly.
func (b *bucket) taken() slotSet {
	tags := b.control()
	return slotSet((tags&^tagHigh + (tagHigh - tagLow) | tags) & tagHigh)
}

// control returns the tags and the overflow count in one load, the tags lowest.
func (b *bucket) control() uint32 {
	return uint32(b.tags[0]) | uint32(b.tags[1])<<8 | uint32(b.tags[2])<<16 | uint32(b.overflow)<<24
}

// flow returns the flow of slot i, which must be below slots.
func (b *bucket) flow(i uintptr) *Flow {
	return (*Flow)(unsafe.Add(unsafe.Pointer(b), i*flowSize))
}

// tag returns the tag of slot i, which must be below slots.
func (b *bucket) tag(i uintptr) *uint8 {
	return (*uint8)(unsafe.Add(unsafe.Pointer(&b.tags), i))
}

// slotOf returns the slot of a flow of this bucket.
func (b *bucket) slotOf(f *Flow) uintptr {
	return (uintptr(unsafe.Pointer(f)) - uintptr(unsafe.Pointer(b))) / flowSize
}

// find returns the flow with this key, or nil.
func (b *bucket) find(tag uint8, k *Key) *Flow {
	for set := b.tagged(tag); set != 0; set = set.withoutFirst() {
		i := set.first()
		if f := b.flow(i); f.is(k) && *b.tag(i) == tag {
			return f
		}
	}
	return nil
}

func (b *bucket) overflowed() {
	if b.overflow < overflowMax {
		b.overflow++
	}
}

func (b *bucket) receded() {
	if b.overflow < overflowMax {
		b.overflow--
	}
}

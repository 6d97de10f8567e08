package flowtable

import "unsafe"

// TicksPerSecond is the resolution of the table's clock.
const TicksPerSecond = 16

// A Key names an IPv4 flow. The VIP and the protocol are in it by way of the
// virtual service; the VIP's L4 port is there for services of every port.
//
// The fields stand so that ports and address are one number in memory, which
// is stored, loaded, hashed and compared at once.
type Key struct {
	VIPPort    uint16
	ClientPort uint16
	Client     uint32 // client address, big-endian value: 10.0.0.1 is 0x0a000001
	Service    uint16 // virtual service id
}

// A Flow is an entry of the table. The first four fields are its Key, written
// by Insert and never to be changed; the rest belongs to the owner, which sets
// Expiry before it calls the table again.
type Flow struct {
	VIPPort    uint16
	ClientPort uint16
	Client     uint32
	Service    uint16
	Slot       uint16 // real server's slot within the service
	Expiry     uint32 // tick at which the flow is gone
	Start      uint16 // when the flow began, modulo 65536: in SYN_RECEIVED the millisecond, else the second
	State      State
	Pinned     uint8 // the owner's: 1 and the prefix length of the client whose template counts the flow, or 0
}

const flowSize = 20

var (
	_ [flowSize]byte = [unsafe.Sizeof(Flow{})]byte{}
	_ [8]byte        = [unsafe.Offsetof(Key{}.Service)]byte{} // what is compares in one load
	_ [8]byte        = [unsafe.Offsetof(Flow{}.Service)]byte{}
)

// Key returns what the flow is looked up by.
func (f *Flow) Key() Key {
	return Key{f.VIPPort, f.ClientPort, f.Client, f.Service}
}

// tuple returns ports and address as one number.
func (k *Key) tuple() uint64 {
	return uint64(k.VIPPort) | uint64(k.ClientPort)<<16 | uint64(k.Client)<<32
}

// is tells whether the flow has this key.
func (f *Flow) is(k *Key) bool {
	return *(*uint64)(unsafe.Pointer(f)) == *(*uint64)(unsafe.Pointer(k)) && f.Service == k.Service
}

// Expired tells whether the flow is gone at tick now.
func (f *Flow) Expired(now uint32) bool {
	return int32(now-f.Expiry) >= 0
}

// Age returns for how many milliseconds, at tick now, the flow has been there:
// in SYN_RECEIVED 62 too many at most, else exact to a second. The owner counts
// the milliseconds and seconds of Start from when it counts ticks.
func (f *Flow) Age(now uint32) uint32 {
	if f.State == SynReceived {
		return uint32(uint16((now+1)*125/2) - f.Start) // a tick is 62.5 ms; at its end no Start is in the future
	}
	return 1000 * uint32(uint16(now/TicksPerSecond)-f.Start)
}

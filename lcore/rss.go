package lcore

import "encoding/binary"

// RSS is how a port spreads flows over its queues: the receive queue is Table[hash modulo its length], where hash is the
// Toeplitz hash of addresses and L4 ports under Key.
type RSS struct {
	Key   []byte // 16 bytes and more
	Table []uint16
}

// Queue is the receive queue that a packet of the tuple comes to; ok is false where that is not known.
func (r *RSS) Queue(t *Tuple) (queue int, ok bool) {
	const input = 12 // bytes of two addresses and two ports
	if r == nil || len(r.Table) == 0 || len(r.Key) < input+4 {
		return 0, false
	}
	return int(r.Table[r.hash(t)%uint32(len(r.Table))]), true
}

// hash is the Toeplitz hash of source, destination and their ports: for every bit of the input that is set, the 32 bits of
// the key that begin at its place.
func (r *RSS) hash(t *Tuple) (hash uint32) {
	var input [12]byte
	binary.BigEndian.PutUint32(input[0:], t.Client)
	binary.BigEndian.PutUint32(input[4:], t.VIP)
	binary.BigEndian.PutUint16(input[8:], t.ClientPort)
	binary.BigEndian.PutUint16(input[10:], t.VIPPort)
	for i, b := range input {
		window := uint64(binary.BigEndian.Uint32(r.Key[i:]))<<8 | uint64(r.Key[i+4])
		for bit := range 8 {
			if b&(0x80>>bit) != 0 {
				hash ^= uint32(window >> (8 - bit))
			}
		}
	}
	return hash
}

package lcore_test

import (
	"bytes"
	"encoding/binary"

	"turnout/lcore/frame"
)

// An edit changes a sound frame into another one.
type edit func(f []byte) []byte

// with returns a changed copy of a frame.
func with(f []byte, edits ...edit) []byte {
	f = bytes.Clone(f)
	for _, e := range edits {
		f = e(f)
	}
	return f
}

// from and to change the MACs.
func from(mac frame.MAC) edit { return put(6, mac[:]...) }
func to(mac frame.MAC) edit   { return put(0, mac[:]...) }

// put writes bytes at an offset of the frame.
func put(offset int, b ...byte) edit {
	return func(f []byte) []byte {
		copy(f[min(offset, len(f)):], b)
		return f
	}
}

// cut leaves the first n bytes.
func cut(n int) edit { return func(f []byte) []byte { return f[:n:n] } }

// pad appends n zero bytes, as short frames have them on the wire.
func pad(n int) edit { return func(f []byte) []byte { return append(f, make([]byte, n)...) } }

// Offsets within a frame.
const (
	atType     = 12
	atIP       = frame.EthernetLen
	atLength   = atIP + 2
	atFragment = atIP + 6
	atProtocol = atIP + 9
	atSource   = atIP + 12
	atVIP      = atIP + 16
	atL4       = atIP + frame.IPv4Len
)

// totalLen changes the packet's idea of its length.
func totalLen(n int) edit { return put(atLength, byte(n>>8), byte(n)) }

// destination changes the packet's receiver.
func destination(address uint32) edit { return put(atVIP, fourBytes(address)...) }

func fourBytes(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// options puts n words of IPv4 options (no operation) between the IPv4 header and what follows.
func options(n int) edit {
	return func(f []byte) []byte {
		words := bytes.Repeat([]byte{1}, 4*n)
		f = append(f[:atL4:atL4], append(words, f[atL4:]...)...)
		f[atIP] += byte(n)
		return with(f, totalLen(len(f)-atIP), checksum)
	}
}

// checksum makes the IPv4 header's checksum right (RFC 1071).
func checksum(f []byte) []byte {
	header := f[atIP:][:4*int(f[atIP]&15)]
	header[10], header[11] = 0, 0
	sum := 0
	for i := 0; i < len(header); i += 2 {
		sum += int(binary.BigEndian.Uint16(header[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(header[10:], ^uint16(sum>>16+sum))
	return f
}

// arp is an ARP request of the client for an address.
func arp(target uint32) []byte {
	f := append(frame.Broadcast[:], clientMAC[:]...)
	f = append(f, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1)
	f = append(append(f, clientMAC[:]...), fourBytes(client)...)
	f = append(append(f, make([]byte, 6)...), fourBytes(target)...)
	return pad(frame.EthernetMin - len(f))(f)
}

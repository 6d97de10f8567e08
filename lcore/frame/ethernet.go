package frame

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"unsafe"
)

// EtherTypes.
const (
	EtherTypeIPv4 = 0x0800
	EtherTypeARP  = 0x0806
)

// Ethernet header (IEEE 802.3, no tag): destination 6, source 6, EtherType 2.
const (
	ethernetSource = 6
	ethernetType   = ethernetSource + 6
	EthernetLen    = ethernetType + 2

	// EthernetMin is the shortest frame on the wire without its checksum; shorter ones are padded.
	EthernetMin = 60
)

// Ethernet is a view of an Ethernet header.
type Ethernet [EthernetLen]byte

// EthernetAt lays the view over a frame of at least EthernetLen bytes.
func EthernetAt(frame unsafe.Pointer) *Ethernet { return (*Ethernet)(frame) }

// Destination is the frame's destination MAC.
func (e *Ethernet) Destination() MAC { return MAC(e[:ethernetSource]) }

// Source is the frame's source MAC.
func (e *Ethernet) Source() MAC { return MAC(e[ethernetSource:ethernetType]) }

// Type is the EtherType.
func (e *Ethernet) Type() uint16 { return binary.BigEndian.Uint16(e[ethernetType:]) }

// MAC is an Ethernet address. The zero MAC stands for "not known".
type MAC [6]byte

// Broadcast is the MAC of every host on the segment.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

var errMAC = errors.New("not a MAC address: want six bytes such as 02:00:00:00:01:21")

// ParseMAC reads a MAC written as six pairs of hexadecimal digits with colons between them.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	pairs := strings.Split(s, ":")
	if len(pairs) != len(m) {
		return MAC{}, errMAC
	}
	for i, pair := range pairs {
		if len(pair) != 2 {
			return MAC{}, errMAC
		}
		if _, err := hex.Decode(m[i:i+1], []byte(pair)); err != nil {
			return MAC{}, errMAC
		}
	}
	return m, nil
}

// String writes the MAC as ParseMAC reads it.
func (m MAC) String() string {
	const digits = "0123456789abcdef"
	text := make([]byte, 0, 17)
	for i, b := range m {
		if i > 0 {
			text = append(text, ':')
		}
		text = append(text, digits[b>>4], digits[b&15])
	}
	return string(text)
}

// Group says whether the MAC is multicast or broadcast.
func (m MAC) Group() bool { return m[0]&1 != 0 }

// Host says whether the MAC can be that of a host: neither a group's nor zero.
func (m MAC) Host() bool { return !m.Group() && m != MAC{} }

// Word packs the MAC into the low 48 bits of a number, as a little-endian CPU loads it, for comparing and hashing.
func (m MAC) Word() uint64 {
	return uint64(m[0]) | uint64(m[1])<<8 | uint64(m[2])<<16 | uint64(m[3])<<24 | uint64(m[4])<<32 | uint64(m[5])<<40
}

package frame

import (
	"encoding/binary"
	"unsafe"
)

// What Plain compares, as little-endian numbers.
const (
	plainType     = 0x450008  // EtherType IPv4; version 4, header length 5 words
	plainTypeMask = 0xffffff  // the byte after it is DSCP and ECN
	plainFragment = 0xff3f    // offset and "more fragments", in two bytes
	macMask       = 1<<48 - 1 // six of eight bytes
)

// Plain says whether a frame of length bytes has the shape of nearly all frames: IPv4 without options, no fragment, whole.
// It answers by few loads and branches; what it refuses may be sound as well.
func Plain(frame unsafe.Pointer, length uint32) bool {
	return length >= EthernetLen+IPv4Len && load32(frame, ethernetType)&plainTypeMask == plainType &&
		load16(frame, EthernetLen+ipv4Fragment)&plainFragment == 0 && IPv4At(frame).TotalLen()-IPv4Len <= length-EthernetLen-IPv4Len
}

// DestinationWord is the destination MAC of a frame as MAC.Word packs it.
func DestinationWord(frame unsafe.Pointer) uint64 { return load64(frame, 0) & macMask }

// SourceWord is likewise its source MAC.
func SourceWord(frame unsafe.Pointer) uint64 {
	return load64(frame, ethernetSource) & macMask
}

func load16(frame unsafe.Pointer, at uintptr) uint16 {
	return binary.LittleEndian.Uint16((*[2]byte)(unsafe.Add(frame, at))[:])
}

func load32(frame unsafe.Pointer, at uintptr) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(frame, at))[:])
}

func load64(frame unsafe.Pointer, at uintptr) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(frame, at))[:])
}

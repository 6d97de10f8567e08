package punt

import (
	"net/netip"

	"turnout/lcore/frame"
)

// EchoReply opens echoReply to tests.
func EchoReply(b []byte, own frame.MAC, vips ...netip.Addr) []byte {
	return echoReply(b, own, newVIPSet(vips))
}

// PortUnreachable opens portUnreachable to tests.
func PortUnreachable(b []byte, own frame.MAC, vips ...netip.Addr) []byte {
	return portUnreachable(b, own, newVIPSet(vips))
}

// Explain opens explain to tests.
var Explain = explain

// Settled opens settled to tests.
func Settled(list func() ([]int, error)) ([]int, error) { return settled(list) }

// ListTries opens listTries to tests.
const ListTries = listTries

package punt

import (
	"net/netip"

	"turnout/lcore/frame"
)

// EchoReply opens echoReply to tests.
func EchoReply(b []byte, own frame.MAC, vips ...netip.Addr) []byte {
	set := vipSet{}
	for _, vip := range vips {
		set[vip] = struct{}{}
	}
	return echoReply(b, own, set)
}

// Explain opens explain to tests.
var Explain = explain

// Settled opens settled to tests.
func Settled(list func() ([]int, error)) ([]int, error) { return settled(list) }

// ListTries opens listTries to tests.
const ListTries = listTries

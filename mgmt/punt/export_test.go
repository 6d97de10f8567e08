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

package neigh

import (
	"fmt"
	"net/netip"

	"turnout/lcore/frame"
)

// Request builds an ARP request.
func Request(sha frame.MAC, spa, tpa netip.Addr) []byte {
	return arp{op: opRequest, sha: sha, spa: spa, tpa: tpa}.frame(frame.Broadcast)
}

// Reply builds an ARP reply.
func Reply(sha frame.MAC, spa netip.Addr, tha frame.MAC, tpa netip.Addr) []byte {
	return arp{op: opReply, sha: sha, spa: spa, tha: tha, tpa: tpa}.frame(tha)
}

// Unicast is b sent to one MAC.
func Unicast(b []byte, to frame.MAC) []byte {
	return append(to[:], b[len(to):]...)
}

// Words says what an ARP frame means.
func Words(b []byte) string {
	a, ok := parseARP(b)
	to := (*frame.Ethernet)(b).Destination()
	switch {
	case !ok:
		return fmt.Sprintf("no ARP: %x", b)
	case a.op == opReply:
		return fmt.Sprintf("%v is-at %v, says so to %v at %v", a.spa, a.sha, to, a.tpa)
	case a.spa == a.tpa && to != frame.Broadcast:
		return fmt.Sprintf("GARP %v to %v alone", a.tpa, to)
	case a.spa == a.tpa:
		return "GARP " + a.tpa.String()
	case to != frame.Broadcast:
		return fmt.Sprintf("unicast who-has %v? asks %v", a.tpa, a.spa)
	case a.spa.IsUnspecified():
		return "who-has " + a.tpa.String() + "? asks nobody"
	}
	return fmt.Sprintf("who-has %v? asks %v", a.tpa, a.spa)
}

// Mend is opened for tests.
var Mend = mend

// SetLimits has the kernel's limits read from files of that format until the answer is called.
func SetLimits(format string) (undo func()) {
	before := limitsFormat
	limitsFormat = format
	return func() { limitsFormat = before }
}

// SetUpdateBuffer changes the room for the kernel's messages until the answer is called.
func SetUpdateBuffer(bytes int) (undo func()) {
	before := updateBuffer
	updateBuffer = bytes
	return func() { updateBuffer = before }
}

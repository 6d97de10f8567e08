package e2e

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	broadcast   = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	unspecified = netip.IPv4Unspecified()
)

// The operations of RFC 826.
const (
	arpRequest = 1
	arpReply   = 2
)

// arpFrame makes an ARP request (RFC 826): to is the frame's destination, target is who is asked for.
func arpFrame(to, from net.HardwareAddr, sender, target netip.Addr) []byte {
	var b bytes.Buffer
	b.Write(to)
	b.Write(from)
	b.Write([]byte{0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, arpRequest})
	b.Write(from)
	b.Write(sender.AsSlice())
	b.Write(make([]byte, 6))
	b.Write(target.AsSlice())
	return b.Bytes()
}

// arp is what an ARP frame says.
type arp struct {
	op          uint16
	senderMAC   string
	sender      netip.Addr
	target      netip.Addr
	destination string // of the frame
}

func parseARP(f []byte) (a arp, ok bool) {
	if len(f) < 42 || binary.BigEndian.Uint16(f[12:]) != unix.ETH_P_ARP {
		return a, false
	}
	return arp{
		op: binary.BigEndian.Uint16(f[20:]), senderMAC: net.HardwareAddr(f[22:28]).String(),
		sender: netip.AddrFrom4([4]byte(f[28:])), target: netip.AddrFrom4([4]byte(f[38:])), destination: dstMAC(f),
	}, true
}

// isARP matches the ARP frames that accept accepts.
func isARP(accept func(arp) bool) func([]byte) bool {
	return func(f []byte) bool {
		a, ok := parseARP(f)
		return ok && accept(a)
	}
}

// isAnswer matches ARP replies for an address.
func isAnswer(address netip.Addr) func([]byte) bool {
	return isARP(func(a arp) bool { return a.op == arpReply && a.sender == address })
}

// isAnnouncement matches GARPs in the request form.
func isAnnouncement(address netip.Addr, mac string) func([]byte) bool {
	return isARP(func(a arp) bool {
		return a.op == arpRequest && a.sender == address && a.target == address && a.senderMAC == mac && a.destination == broadcast.String()
	})
}

// whoHas asks from a host for addresses, and returns which MACs answer for each. It waits until there is an answer for
// each, at most for limit, and a little longer for second ones.
func (h *host) whoHas(t *testing.T, limit time.Duration, mac string, self netip.Addr, addresses ...netip.Addr) map[netip.Addr][]string {
	t.Helper()
	w := h.tap(t, "eth0", filterARP)
	defer w.close()
	from, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		w.send(t, arpFrame(broadcast, from, self, a))
	}
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if !slices.ContainsFunc(addresses, func(a netip.Addr) bool { return len(w.frames(isAnswer(a))) == 0 }) {
			break
		}
	}
	time.Sleep(100 * time.Millisecond)
	answers := map[netip.Addr][]string{}
	for _, a := range addresses {
		for _, s := range w.frames(isAnswer(a)) {
			if m := srcMAC(s.frame); !slices.Contains(answers[a], m) {
				answers[a] = append(answers[a], m)
			}
		}
	}
	return answers
}

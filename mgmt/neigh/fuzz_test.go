package neigh_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"go.uber.org/zap"

	"turnout/lcore/frame"
	"turnout/mgmt/neigh"
)

// FuzzHandleARP: whatever comes, only a sound request for an announced VIP is answered, by a sound reply to the one
// who asked, and only frames that name a VIP are kept from the kernel.
func FuzzHandleARP(f *testing.F) {
	for _, b := range [][]byte{asks, probes, claims, answers, leaks, neigh.Request(otherMAC, client, routed), neigh.Unicast(asks, portMAC)} {
		f.Add(b)
		f.Add(append(slices.Clone(b), make([]byte, 18)...)) // padded
		f.Add(b[:41])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var sent [][]byte
		g := neigh.New(neigh.Config{PortMAC: portMAC, DIP: netip.MustParsePrefix("10.0.0.1/8"), Active: true, Log: zap.NewNop(),
			Send: func(b []byte) bool { sent = append(sent, b); return true }})
		g.LinkUp(true)
		g.SetVIPs([]netip.Addr{routed}) // announced at once
		before := slices.Clone(b)
		consumed := g.HandleARP(b)
		if !bytes.Equal(b, before) {
			t.Error("the frame was changed")
		}
		if names := len(b) >= 42 && (bytes.Equal(b[28:32], routed.AsSlice()) || bytes.Equal(b[38:42], routed.AsSlice())); consumed && !names {
			t.Error("consumed, though it names no VIP")
		}
		if len(sent) == 0 {
			return
		}
		want := neigh.Reply(portMAC, routed, frame.MAC(b[22:]), netip.AddrFrom4([4]byte(b[28:32])))
		if len(sent) != 1 || !bytes.Equal(sent[0], want) || !consumed || !bytes.Equal(b[12:22], []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}) {
			t.Errorf("consumed %v, answered by %x, want %x", consumed, sent, want)
		}
	})
}

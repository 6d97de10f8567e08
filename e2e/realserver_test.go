package e2e

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A new real server on the segment's bridge: with its VIP on lo it answers ARP for it, until turnout realserver has set
// it up, and again after that is undone.
func TestRealServerIsSetUp(t *testing.T) {
	s := needSegment(t)
	const mac = "02:00:00:00:01:29"
	address, vip := netip.MustParseAddr("192.168.57.129"), netip.MustParseAddr("192.168.57.109")
	rs, err := s.plug("rs9", mac, address.String()+"/24")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rs.close)
	s.client.waitAnswer(t, address)
	answers := func(step string, want bool) {
		t.Helper()
		all := s.client.whoHas(t, 500*time.Millisecond, clientMAC, clientAddress, address, vip)
		if len(all[address]) != 1 || len(all[vip]) > 0 != want {
			t.Errorf("%s: answers for the RIP %v, for the VIP %v; want one and %v", step, all[address], all[vip], want)
		}
	}
	command := func(verb string) (string, error) {
		return rs.run(executable, "realserver", "--vip", vip.String(), "--dev", "eth0", "--state", filepath.Join(scratch, "rs9"), verb)
	}
	must := func(verb string) {
		t.Helper()
		if out, err := command(verb); err != nil {
			t.Errorf("%s: %v: %s", verb, err, out)
		}
	}
	if err := rs.ip("address add " + vip.String() + "/32 dev lo"); err != nil {
		t.Fatal(err)
	}
	answers("the VIP on lo alone", true)
	if out, err := command("--verify"); err == nil || !strings.Contains(out, "arp_ignore is 0") {
		t.Errorf("--verify of a real server that answers: %v: %s", err, out)
	}
	must("--apply")
	answers("after --apply", false)
	must("--verify")
	must("--undo")
	answers("after --undo", true)
}

// waitAnswer waits until a host that was just plugged in answers ARP.
func (h *host) waitAnswer(t *testing.T, address netip.Addr) {
	t.Helper()
	for range 20 {
		if answers := h.whoHas(t, 200*time.Millisecond, clientMAC, clientAddress, address); len(answers[address]) > 0 {
			return
		}
	}
	t.Fatalf("%s does not answer ARP", address)
}

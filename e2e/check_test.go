package e2e

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"turnout/mgmt/api"
)

// watchPort begins to look at what passes the kernel's end of the DPDK port: packets with the DIP, and those from a VIP,
// of which there may be none but echo replies and answers to path probes.
func (d *director) watchPort() {
	d.t.Helper()
	var err error
	d.watch, err = d.segment.lan.open(d.port, filterFromOrTo([]netip.Addr{vip, vip2, vip3, d.dip}, d.dip))
	if err != nil {
		d.t.Fatal(err)
	}
}

// check is what holds at the end of every test: the books balance, hosts know the VIPs and the DIP by the port's MAC,
// replies did not pass the director, and the health checks' traffic passed the port.
func (d *director) check() {
	d.checkBooks()
	d.checkReplies()
	if d.active {
		d.checkMACs()
	}
	d.checkHealthTraffic()
}

// checkBooks waits until the counts of all frames are still, and wants them to balance.
func (d *director) checkBooks() {
	var status api.Status
	limit := time.Now().Add(5 * time.Second)
	for time.Now().Before(limit) {
		if err := d.get("/v1/status", &status); err != nil {
			d.t.Errorf("at the end of the test: %v", err)
			return
		}
		if status.Books.Balanced {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.t.Errorf("the books do not balance within 5 s: %+v", status.Books)
}

// checkReplies wants no packet from a VIP on the port but answers to path probes: real servers answer clients directly.
func (d *director) checkReplies() {
	replies := d.watch.frames(func(f []byte) bool {
		return isIPv4(f) && protocolOf(f) != unix.IPPROTO_ICMP && slices.Contains([]netip.Addr{vip, vip2, vip3}, source(f)) && target(f) != d.dip
	})
	if len(replies) > 0 {
		d.t.Errorf("%d packets from a VIP on the port, the first: %s", len(replies), describe(replies[0].frame))
	}
}

// checkMACs asks on the segment for the DIP and the VIPs: nobody but the port may answer, and who has an entry has the
// right one.
func (d *director) checkMACs() {
	addresses := []netip.Addr{d.dip}
	status := d.status()
	for _, v := range status.VIPs {
		if !slices.ContainsFunc(status.Conflicts, func(c api.Conflict) bool { return c.Address == v.Address }) {
			addresses = append(addresses, v.Address)
		}
	}
	const limit = 5 * time.Second
	client, rs := d.segment.client, d.segment.servers[0]
	for h, answers := range map[*host]map[netip.Addr][]string{
		client:  client.whoHas(d.t, limit, clientMAC, clientAddress, addresses...),
		rs.host: rs.whoHas(d.t, limit, rs.mac, rs.address, addresses...),
	} {
		for _, a := range addresses {
			if !slices.Equal(answers[a], []string{d.mac}) {
				d.t.Errorf("%s asks for %s: %v answer, want the port's %s alone", h.name, a, answers[a], d.mac)
			}
			d.checkEntry(h, a)
		}
	}
}

// checkEntry wants the port's MAC where the kernel of a host has one for an address.
func (d *director) checkEntry(h *host, a netip.Addr) {
	entry, err := h.run("ip", "neigh", "show", a.String())
	if err != nil {
		d.t.Error(err)
	}
	if strings.Contains(entry, "lladdr") && !strings.Contains(entry, d.mac) {
		d.t.Errorf("%s has %s for %s, want the port's %s", h.name, strings.TrimSpace(entry), a, d.mac)
	}
}

// checkHealthTraffic wants to have seen packets of every checked real server pass the port, both ways.
func (d *director) checkHealthTraffic() {
	var list api.ServiceList
	if err := d.get("/v1/services", &list); err != nil {
		d.t.Error(err)
		return
	}
	for _, svc := range list.Services {
		for _, rs := range svc.Live.RealServers {
			if rs.Health.Passed > 0 && rs.Health.LatencyMS > 0 {
				d.wantTraffic(d.dip, rs.Address)
				d.wantTraffic(rs.Address, d.dip)
			}
		}
	}
}

func (d *director) wantTraffic(from, to netip.Addr) {
	passed := func(f []byte) bool { return isIPv4(f) && source(f) == from && target(f) == to }
	for limit := time.Now().Add(time.Second); len(d.watch.frames(passed)) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			d.t.Errorf("no health check traffic from %s to %s on the port: it is bypassed", from, to)
			return
		}
	}
}

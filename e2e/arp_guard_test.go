package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"turnout/mgmt/api"
)

const (
	guardPeriod = 10 * time.Second // from one question for a VIP to the next
	claimKept   = 25 * time.Second // after a claim was last heard
)

// leak has a real server answer ARP for its VIPs, or ends that.
func (rs *server) leak(t *testing.T, leaks bool) {
	t.Helper()
	value := map[bool]string{true: "0", false: "1"}[leaks]
	if err := rs.sysctl("net/ipv4/conf/all/arp_ignore="+value, "net/ipv4/conf/eth0/arp_ignore="+value); err != nil {
		t.Error(err)
	}
}

// conflicts lists what the API says: who, about which address.
func (d *director) conflicts() (list []string) {
	d.t.Helper()
	for _, c := range d.status().Conflicts {
		list = append(list, fmt.Sprintf("%s %s claims %v", c.Holder, c.MAC, c.Address))
	}
	return list
}

func (d *director) metrics() string {
	d.t.Helper()
	text, err := d.ask("GET", "/metrics", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// The guard names a real server that answers ARP for the VIP, and forgets it once it is silent again. Clients that ask
// meanwhile end up at the director all the same, if it defends its VIPs.
func TestLeakingRealServerIsNamed(t *testing.T) {
	s := needSegment(t)
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	rs := s.servers[1]
	load := s.startLoad(t, 2, 20*time.Millisecond, webURL)
	t.Cleanup(func() { rs.leak(t, false) })

	rs.leak(t, true)
	metric := fmt.Sprintf(`turnout_vip_conflict{mac="%s",real_server="%s",vip="%s"} 1`, rs.mac, rs.address, vip)
	took := eventually(t, guardPeriod+2*time.Second, "the metric names the real server", func() bool { return strings.Contains(d.metrics(), metric) })
	t.Logf("named after %v", took)
	if took > guardPeriod {
		t.Errorf("named after %v, want at most %v", took, guardPeriod)
	}
	if got, want := d.conflicts(), []string{fmt.Sprintf("real_server %s claims %v", rs.mac, vip)}; !slices.Equal(got, want) {
		t.Errorf("conflicts %q, want %q", got, want)
	}
	mend := fmt.Sprintf("turnout realserver --vip %v --dev NIC --apply    # on %v", vip, rs.address)
	for _, command := range []string{"status", "neighbours"} {
		if out, errs, _ := turnout(t, command, "--server", "unix:"+d.socket()); !strings.Contains(out, mend) {
			t.Errorf("turnout %s does not say %q:\n%s%s", command, mend, out, errs)
		}
	}
	if !strings.Contains(d.log(), mend) {
		t.Errorf("the log does not say %q", mend)
	}
	if err := d.get("/readyz", nil); err != nil {
		t.Errorf("the VIP is announced, and yet: %v", err)
	}
	wantNoFailure(t, load.stop()) // below, the client is made to forget the VIP, which costs connections under way
	if wrong := s.client.resolvesWrongly(t, d.mac, 20); wrong > 0 {
		t.Errorf("20 times a client asks for the VIP, %d times it believes another than the director", wrong)
	}

	rs.leak(t, false)
	took = eventually(t, claimKept+2*guardPeriod, "the metric is gone", func() bool { return !strings.Contains(d.metrics(), metric) })
	t.Logf("cleared after %v", took)
}

// resolvesWrongly has the host forget who has the VIP and open a connection to it, so many times. It counts after how many
// of them the host has not the MAC for the VIP.
func (h *host) resolvesWrongly(t *testing.T, mac string, times int) (wrong int) {
	t.Helper()
	for range times {
		if _, err := h.run("ip", "neigh", "flush", "to", vip.String()); err != nil {
			t.Fatal(err)
		}
		conn, err := h.dial("tcp", vip.String()+":80")
		if err != nil {
			t.Errorf("while a real server leaks the VIP: %v", err)
			continue
		}
		conn.Close()
		time.Sleep(20 * time.Millisecond) // for answers that come late
		entry, err := h.run("ip", "neigh", "show", vip.String())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(entry, mac) {
			wrong++
		}
	}
	return wrong
}

// Without the defence a client believes the one who answers first: what the test above sees is the defence's work.
func TestLeakWithoutDefence(t *testing.T) {
	s := needSegment(t)
	d := startDirector(t, settings{services: web, more: "defend_vips: false\n"})
	rs := s.servers[1]
	t.Cleanup(func() { rs.leak(t, false) })
	rs.leak(t, true)
	eventually(t, guardPeriod+2*time.Second, "the guard sees the leak", func() bool { return len(d.conflicts()) == 1 })
	wrong := s.client.resolvesWrongly(t, d.mac, 20)
	t.Logf("20 times a client asks for the VIP, %d times it believes the real server", wrong)
	if wrong == 0 {
		t.Error("the real server's answer is never believed: it does not leak, or the VIP is defended")
	}
	rs.leak(t, false)
	if _, err := s.client.run("ip", "neigh", "flush", "to", vip.String()); err != nil {
		t.Error(err)
	}
}

// A VIP that somebody has at the start is not announced, and /readyz tells who it is.
func TestHeldVIPIsNotReady(t *testing.T) {
	s := needSegment(t)
	rs := s.servers[0]
	host := otherClients()[5]
	for name, held := range map[string]struct {
		vip   netip.Addr
		leaks bool
		why   string
	}{
		"by a real server that leaks": {vip, true, fmt.Sprintf("real server %v (%s) claims VIP %v: arp_ignore or arp_announce is not set there", rs.address, rs.mac, vip)},
		"by a host as its address":    {host, false, fmt.Sprintf("another machine (%s) claims VIP %v", clientMAC, host)},
	} {
		t.Run(name, func(t *testing.T) {
			rs.leak(t, held.leaks)
			t.Cleanup(func() { rs.leak(t, false) })
			d := newDirector(t, settings{services: strings.ReplaceAll(web, vip.String(), held.vip.String()), conflict: true})
			d.run()
			d.plug()
			var err error
			eventually(t, 10*time.Second, "/readyz says "+held.why, func() bool {
				err = d.get("/readyz", nil)
				return err != nil && strings.Contains(err.Error(), held.why)
			})
			if !strings.Contains(err.Error(), "503") {
				t.Errorf("/readyz answers %v, want 503", err)
			}
			if !held.leaks {
				return
			}
			rs.leak(t, false)
			eventually(t, 20*time.Second, "the VIP is announced once nobody else has it", func() bool { return d.get("/readyz", nil) == nil })
		})
	}
}

// twinAddress is a real server's that two machines have.
var twinAddress = netip.MustParseAddr("192.168.57.140")

const twins = `services:
  - {name: twins, vip: 192.168.57.102, protocol: tcp, port: 7, health_check: {type: none}, real_servers: [{address: 192.168.57.140}]}
`

// Two machines with the address of one real server: the one that the director does not use is named.
func TestTwoMachinesWithOneAddress(t *testing.T) {
	s := needSegment(t)
	macs := []string{"02:00:00:00:01:40", "02:00:00:00:01:41"}
	wires := []*wire{}
	for i, mac := range macs {
		h, err := s.plug(fmt.Sprintf("twin%d", i), mac, twinAddress.String()+"/24")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.close)
		w := h.tap(t, "eth0", filterARP)
		t.Cleanup(w.close)
		wires = append(wires, w)
	}
	d := startDirector(t, settings{services: twins})
	d.waitServers("twins", "up", 1)
	limit := 70 * time.Second
	if !full { // until they answer the question that comes after 25 to 30 s, they speak for themselves
		for _, i := range []int{0, 1, 0, 1} {
			wires[i].send(t, arpFrame(broadcast, mustMAC(macs[i]), twinAddress, clientAddress))
			time.Sleep(50 * time.Millisecond)
		}
		limit = 2 * time.Second
	}
	var got []api.Conflict
	took := eventually(t, limit, "the other one is named", func() bool {
		got = d.status().Conflicts
		return len(got) == 1
	})
	used := d.service("twins").Live.RealServers[0].MAC
	t.Logf("named after %v: %s", took, got[0].Text)
	if c := got[0]; c.VIP || c.Address != twinAddress || c.Holder != api.HolderStranger || c.MAC == used || !slices.Contains(macs, c.MAC) {
		t.Errorf("%+v, want a stranger with the address %v, and not %s", c, twinAddress, used)
	}
	if want := fmt.Sprintf(`turnout_real_server_conflict{mac="%s",real_server="%s"} 1`, got[0].MAC, twinAddress); !strings.Contains(d.metrics(), want) {
		t.Errorf("the metrics do not have %s", want)
	}
}

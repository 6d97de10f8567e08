package director

import (
	"net/netip"
	"slices"
	"testing"

	"turnout/lcore/frame"
	"turnout/mgmt/api"
	"turnout/mgmt/metrics"
	"turnout/mgmt/neigh"
)

var (
	aVIP     = netip.MustParseAddr("192.168.57.100")
	server21 = netip.MustParseAddr("192.168.57.121")

	mac21    = frame.MAC{2, 0, 0, 0, 1, 0x21}
	mac22    = frame.MAC{2, 0, 0, 0, 1, 0x22}
	peer     = frame.MAC{2, 0, 0, 0, 1, 0x12}
	stranger = frame.MAC{2, 0, 0, 0, 9, 9}
)

func TestConflictsAreNamed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		claim neigh.Claim
		want  string // holder, text, mend
	}{
		{"a real server leaks a VIP", neigh.Claim{Address: aVIP, MAC: mac21},
			"real_server: real server 192.168.57.121 (02:00:00:00:01:21) claims VIP 192.168.57.100: arp_ignore or arp_announce is not set there: " +
				"turnout realserver --vip 192.168.57.100 --dev NIC --apply    # on 192.168.57.121"},
		{"a real server whose MAC is configured", neigh.Claim{Address: aVIP, MAC: mac22},
			"real_server: real server 192.168.57.122 (02:00:00:00:01:22) claims VIP 192.168.57.100: arp_ignore or arp_announce is not set there: " +
				"turnout realserver --vip 192.168.57.100 --dev NIC --apply    # on 192.168.57.122"},
		{"two directors are active", neigh.Claim{Address: aVIP, MAC: peer},
			"director: the peer director (02:00:00:00:01:12) claims 192.168.57.100 as well: turnout role standby    # on one of the two directors"},
		{"a host has the VIP as its address", neigh.Claim{Address: aVIP, MAC: stranger},
			"stranger: another machine (02:00:00:00:09:09) claims VIP 192.168.57.100: " +
				"tcpdump -nei dip0 ether host 02:00:00:00:09:09    # here: whose it is; take 192.168.57.100 from it"},
		{"a real server has the address of another", neigh.Claim{Address: server21, MAC: mac22},
			"real_server: real server 192.168.57.122 (02:00:00:00:01:22) claims the address of real server 192.168.57.121: " +
				"ip address show to 192.168.57.121    # on 192.168.57.122, which must not have it"},
		{"a host has the address of a real server", neigh.Claim{Address: server21, MAC: stranger},
			"stranger: another machine (02:00:00:00:09:09) claims the address of real server 192.168.57.121: " +
				"tcpdump -nei dip0 ether host 02:00:00:00:09:09    # here: whose it is; take 192.168.57.121 from it"},
		{"the real server itself", neigh.Claim{Address: server21, MAC: mac21}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := claimed(t, api.VIP{Address: aVIP, State: "announced"}, tt.claim)
			got := ""
			for _, c := range d.Conflicts() {
				got += string(c.Holder) + ": " + c.Text + ": " + c.Mend
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// claimed is a Director of one VIP and two real servers, the MAC of one by ARP, of the other from its file.
func claimed(t *testing.T, v api.VIP, claims ...neigh.Claim) *Director {
	t.Helper()
	d, _, _ := start(t, `services:
  - {name: web, vip: 192.168.57.100, protocol: tcp, port: 80, real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122, mac: "02:00:00:00:01:22"}]}
`)
	d.config.PeerMACs = []frame.MAC{peer}
	d.config.VIPs = func() []api.VIP { return []api.VIP{v} }
	d.config.Claims = func() []neigh.Claim { return claims }
	d.config.Neighbours = func() []api.Neighbour { return []api.Neighbour{{Address: server21, MAC: mac21.String()}} }
	return d
}

func TestNotReadyNamesWhoHoldsTheVIP(t *testing.T) {
	for _, tt := range []struct {
		state  string
		claims []neigh.Claim
		want   []string
	}{
		{"announced", []neigh.Claim{{Address: aVIP, MAC: mac21}}, nil},
		{"conflict", []neigh.Claim{{Address: server21, MAC: stranger}, {Address: aVIP, MAC: peer}}, []string{
			"VIP 192.168.57.100 is not announced: the peer director (02:00:00:00:01:12) claims 192.168.57.100 as well; turnout role standby    # on one of the two directors",
		}},
		{"conflict", nil, []string{"VIP 192.168.57.100 is not announced: another machine claimed it a moment ago"}},
	} {
		d := claimed(t, api.VIP{Address: aVIP, State: tt.state}, tt.claims...)
		if ready, why := d.Ready(); ready != (tt.want == nil) || !slices.Equal(why, tt.want) {
			t.Errorf("%s: ready %v, %q, want %q", tt.state, ready, why, tt.want)
		}
	}
}

func TestConflictsAreMeasured(t *testing.T) {
	d := claimed(t, api.VIP{Address: aVIP}, neigh.Claim{Address: aVIP, MAC: mac21}, neigh.Claim{Address: aVIP, MAC: stranger}, neigh.Claim{Address: server21, MAC: stranger})
	r := d.Snapshot()
	vips := []metrics.Conflict{{Address: "192.168.57.100", MAC: mac21.String(), RealServer: "192.168.57.121"}, {Address: "192.168.57.100", MAC: stranger.String()}}
	servers := []metrics.Conflict{{Address: "192.168.57.121", MAC: stranger.String()}}
	if !slices.Equal(r.VIPConflicts, vips) || !slices.Equal(r.ServerConflicts, servers) {
		t.Errorf("conflicts %v and %v, want %v and %v", r.VIPConflicts, r.ServerConflicts, vips, servers)
	}
}

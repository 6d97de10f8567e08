package director

import (
	"fmt"
	"net/netip"
	"slices"

	"turnout/mgmt/api"
	"turnout/mgmt/metrics"
	"turnout/mgmt/neigh"
)

// Conflicts is that of api.Director: the claims, with the names of those who make them and what mends it.
func (d *Director) Conflicts() []api.Conflict {
	list := []api.Conflict{}
	claims := d.config.Claims()
	if len(claims) == 0 {
		return list
	}
	vips, neighbours := d.config.VIPs(), d.Neighbours()
	for _, claim := range claims {
		c := d.conflict(claim, neighbours)
		c.VIP = slices.ContainsFunc(vips, func(v api.VIP) bool { return v.Address == c.Address })
		if !c.VIP && slices.Contains(c.RealServers, c.Address) {
			continue // the machine that is in use
		}
		c.Text, c.Mend = d.explainConflict(c)
		list = append(list, c)
	}
	return list
}

// conflict names who makes a claim, as far as the MAC tells.
func (d *Director) conflict(claim neigh.Claim, neighbours []api.Neighbour) api.Conflict {
	c := api.Conflict{Address: claim.Address, MAC: claim.MAC.String(), Holder: api.HolderStranger, Since: claim.Since, Heard: claim.Heard}
	for _, n := range neighbours {
		if n.MAC == c.MAC {
			c.Holder, c.RealServers = api.HolderRealServer, append(c.RealServers, n.Address)
		}
	}
	if slices.Contains(d.config.PeerMACs, claim.MAC) {
		c.Holder = api.HolderDirector
	}
	return c
}

// explainConflict says what is wrong, and with which command and where it is mended.
func (d *Director) explainConflict(c api.Conflict) (text, mend string) {
	switch {
	case c.Holder == api.HolderRealServer && c.VIP:
		rs := c.RealServers[0]
		return fmt.Sprintf("real server %v (%s) claims VIP %v: arp_ignore or arp_announce is not set there", rs, c.MAC, c.Address),
			fmt.Sprintf("turnout realserver --vip %v --dev NIC --apply    # on %v", c.Address, rs)
	case c.Holder == api.HolderRealServer:
		rs := c.RealServers[0]
		return fmt.Sprintf("real server %v (%s) claims the address of real server %v", rs, c.MAC, c.Address),
			fmt.Sprintf("ip address show to %v    # on %v, which must not have it", c.Address, rs)
	case c.Holder == api.HolderDirector:
		return fmt.Sprintf("the peer director (%s) claims %v as well", c.MAC, c.Address), "turnout role standby    # on one of the two directors"
	case c.VIP:
		return fmt.Sprintf("another machine (%s) claims VIP %v", c.MAC, c.Address), d.findMachine(c)
	default:
		return fmt.Sprintf("another machine (%s) claims the address of real server %v", c.MAC, c.Address), d.findMachine(c)
	}
}

// findMachine shows what else comes from the MAC of a machine of which nothing is known: its other addresses.
func (d *Director) findMachine(c api.Conflict) string {
	return fmt.Sprintf("tcpdump -nei %s ether host %s    # here: whose it is; take %v from it", d.config.Port.Brief().KernelInterface, c.MAC, c.Address)
}

// heldBy is why a VIP is not announced.
func heldBy(vip netip.Addr, conflicts []api.Conflict) string {
	why := fmt.Sprintf("VIP %v is not announced: ", vip)
	for _, c := range conflicts {
		if c.Address == vip {
			return why + c.Text + "; " + c.Mend
		}
	}
	return why + "another machine claimed it a moment ago"
}

// measureConflicts has one entry for each real server that has the MAC, one without a name if none has.
func measureConflicts(conflicts []api.Conflict) (vips, servers []metrics.Conflict) {
	for _, c := range conflicts {
		m := metrics.Conflict{Address: c.Address.String(), MAC: c.MAC}
		if !c.VIP {
			servers = append(servers, m)
			continue
		}
		for i := range max(1, len(c.RealServers)) {
			if i < len(c.RealServers) {
				m.RealServer = c.RealServers[i].String()
			}
			vips = append(vips, m)
		}
	}
	return vips, servers
}

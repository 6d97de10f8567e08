package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"turnout/mgmt/api"
	"turnout/mgmt/probe"
)

// Reading is what a director says of itself at one moment.
type Reading struct {
	Status     api.Status
	Services   api.ServiceList
	Ports      api.PortList
	Lcores     api.LcoreList
	Neighbours api.NeighbourList
}

// Read asks a director. get fills v from the answer to GET path.
func Read(get func(path string, v any) error) (r Reading, err error) {
	for _, call := range []struct {
		path string
		v    any
	}{
		{"/v1/status", &r.Status}, {"/v1/services", &r.Services}, {"/v1/ports", &r.Ports},
		{"/v1/lcores", &r.Lcores}, {"/v1/neighbours", &r.Neighbours},
	} {
		if err := get(call.path, call.v); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Director is a running director: two readings, a second apart, of which the differences count.
type Director struct {
	Err         error // why there is none
	Before, Now Reading
}

// directorChecks is the list of what is looked at in a running director.
var directorChecks = []check[*Director]{
	{
		"director", "a director answers",
		"what only a running director knows could not be looked at", answers,
	},
	{
		"ready", "the director is ready",
		"a director that is not ready forwards nothing, or not all", ready,
	},
	{
		"last_apply", "the last change of the services was applied",
		"the state before is still in force: what the file says is not what turnout does", lastApply,
	},
	{
		"vip_conflict", "no other host claims a VIP",
		"that host gets packets of clients, past the director; a VIP that it held at the start is not announced", vipConflict,
	},
	{
		"duplicate_addresses", "no real server's address is another host's as well",
		"packets for the real server may reach that host, from one moment to the next", duplicateAddresses,
	},
	{
		"role", "the director is active",
		"a standby answers nothing for VIPs and drops what comes for them", standby,
	},
	{
		"quorum", "every service has its quorum",
		"new flows go to the sorry server, or nowhere", quorum,
	},
	{
		"real_servers", "every real server is up and its MAC known",
		"a real server that is down or has no MAC gets no flows", realServers,
	},
	{
		"duplicate_macs", "every real server has a MAC of its own",
		"packets for two real servers reach one: an address is given twice, or a router answers ARP for others", duplicateMACs,
	},
	{
		"flow_tables", "the flow tables have room",
		"flows beyond flow_table.entries push out others, which may then change their real server", flowTables,
	},
	{
		"lcores_busy", "the lcores have time left",
		"an lcore that is always busy lets the receive ring overflow at the next burst", lcoresBusy,
	},
	{
		"port_loss", "the ports lose no frames",
		"lost frames are sent again by clients at best, after a second", portLoss,
	},
	{
		"punt_loss", "all frames for the management get there",
		"ARP, health checks and ssh share that path: what is dropped there makes real servers look dead", puntLoss,
	},
	{
		"books", "every frame is accounted for",
		"a frame that is in no count is a mistake in turnout: please report it", books,
	},
}

// Examine looks at the director, of which no more can be said if it does not answer.
func (d *Director) Examine() []Finding {
	if d.Err != nil {
		return examine(directorChecks[:1], d)
	}
	return examine(directorChecks, d)
}

func answers(d *Director) []Finding {
	if d.Err == nil {
		return nil
	}
	return []Finding{found(Note, "turnout run -c turnout.yaml", "%v", d.Err)}
}

// each makes findings of items for which problem has something to say.
func each[T any](items []T, problem func(T) []Finding) (all []Finding) {
	for _, item := range items {
		all = append(all, problem(item)...)
	}
	return all
}

func ready(d *Director) []Finding {
	return each(d.Now.Status.NotReady, func(why string) []Finding {
		return []Finding{found(Error, "turnout status", "%s", why)}
	})
}

func lastApply(d *Director) []Finding {
	if d.Now.Status.LastApplySuccessful {
		return nil
	}
	return []Finding{found(Error, "turnout check", "the last change was refused, generation %d is still in force", d.Now.Status.Generation)}
}

func vipConflict(d *Director) []Finding {
	return each(d.Now.Status.Conflicts, func(c api.Conflict) []Finding {
		if !c.VIP {
			return nil
		}
		return []Finding{found(Error, c.Mend, "%s", c.Text)}
	})
}

func duplicateAddresses(d *Director) []Finding {
	return each(d.Now.Status.Conflicts, func(c api.Conflict) []Finding {
		if c.VIP {
			return nil
		}
		return []Finding{found(Error, c.Mend, "%s", c.Text)}
	})
}

func standby(d *Director) []Finding {
	if d.Now.Status.Role != api.RoleStandby {
		return nil
	}
	return []Finding{found(Note, "turnout role active", "the director is standby for all VIPs")}
}

func quorum(d *Director) []Finding {
	return each(d.Now.Services.Services, func(s api.Service) []Finding {
		if s.Live.Quorum {
			return nil
		}
		return []Finding{found(Error, "turnout real-servers", "%s has a usable weight of %d, its quorum is %d", s.Name, s.Live.UsableWeight, s.Quorum)}
	})
}

func realServers(d *Director) []Finding {
	return each(d.Now.Services.Services, func(s api.Service) []Finding {
		return each(s.Live.RealServers, func(rs api.RealServerLive) []Finding { return d.realServer(s, rs) })
	})
}

func (d *Director) realServer(s api.Service, rs api.RealServerLive) []Finding {
	if d := rs.Diagnosis; d != nil && d.Diagnosis != probe.OK && d.Diagnosis != probe.RIPDown && len(d.Mend) > 0 {
		return []Finding{found(Warning, d.Mend[0], "%s: %s is %s: %s: %s", s.Name, rs.Address, rs.State, d.Diagnosis, d.Why)}
	}
	switch rs.State {
	case "down":
		mend := fmt.Sprintf("ssh root@%s ss -lntu sport = :%d    # does it listen?", rs.Address, s.Port)
		return []Finding{found(Warning, mend, "%s: %s is down: %s", s.Name, rs.Address, cmp.Or(rs.Health.LastError, "it has not passed its checks yet"))}
	case "no_mac":
		return []Finding{found(Warning, "ping -c 3 "+rs.Address.String(), "%s: %s does not answer ARP", s.Name, rs.Address)}
	}
	return nil
}

func duplicateMACs(d *Director) (all []Finding) {
	owners := map[string]netip.Addr{}
	for _, n := range d.Now.Neighbours.Neighbours {
		if n.MAC == "" {
			continue
		}
		if other, taken := owners[n.MAC]; taken && other != n.Address {
			all = append(all, found(Warning, fmt.Sprintf("arping -I %s %s", d.kernelInterface(), n.Address), "%s and %s have the same MAC %s", other, n.Address, n.MAC))
			continue
		}
		owners[n.MAC] = n.Address
	}
	return all
}

func (d *Director) kernelInterface() string {
	for _, p := range d.Now.Ports.Ports {
		return p.KernelInterface
	}
	return "dip0"
}

// books can be judged only in a second in which nothing came.
func books(d *Director) []Finding {
	if b := d.Now.Status.Books; b.Balanced || b.Rx != d.Before.Status.Books.Rx {
		return nil
	}
	return []Finding{found(Error, "turnout status -o json", "the books do not balance, and no frame came for a second")}
}

// puntReasons begin the names of the reasons for which frames do not reach the management.
const puntReasons = "punt_"

func puntLoss(d *Director) (all []Finding) {
	before, now := d.Before.Status.Books.Drops, d.Now.Status.Books.Drops
	for _, reason := range slices.Sorted(maps.Keys(now)) {
		if lost := grown(before[reason], now[reason]); lost > 0 && strings.HasPrefix(reason, puntReasons) {
			all = append(all, found(Warning, "turnout drops --watch", "%d frames in a second were dropped as %s", lost, reason))
		}
	}
	return all
}

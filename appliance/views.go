package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"turnout/mgmt/api"
)

func statusTable(t *table, s api.Status) {
	t.row("VERSION", s.Version)
	t.row("UPTIME", inTime(s.UptimeSeconds))
	t.row("ROLE", shaded(string(s.Role)))
	t.row("READY", readiness(s))
	t.row("GENERATION", generation(s))
	t.row("MAGLEV KEY", s.MaglevKeyFingerprint)
	t.gap()
	t.head("VIP", "STATE")
	for _, v := range s.VIPs {
		t.row(v.Address, shaded(v.State))
	}
	conflictsTable(t, s.Conflicts)
	t.gap()
	t.head("PORT", "LINK")
	for _, p := range s.Ports {
		t.row(p.Name, shaded(upDown(p.LinkUp)))
	}
	t.gap()
	t.head("LCORE", "BUSY", "FLOWS")
	for _, l := range s.Lcores {
		t.row(l.Lcore, inPercent(l.Busy), l.Flows)
	}
	t.gap()
	booksTable(t, s.Books)
}

func readiness(s api.Status) cell {
	if s.Ready {
		return cell{text: "yes"}
	}
	return cell{text: "no: " + strings.Join(s.NotReady, "; "), colour: red, prose: true}
}

func generation(s api.Status) cell {
	if s.LastApplySuccessful {
		return cell{text: fmt.Sprint(s.Generation)}
	}
	return cell{text: fmt.Sprintf("%d (the last change was refused)", s.Generation), colour: yellow}
}

// booksTable shows the two sides of the sum rule, which are equal once traffic is quiet.
func booksTable(t *table, b api.Books) {
	dropped := total(b.Drops)
	t.head("FRAMES IN", "COUNT", "FRAMES OUT", "COUNT")
	t.row("rx", b.Rx, "tx", b.Tx)
	t.row("injected", b.Injected, "tx dropped", b.TxDropped)
	t.row("generated", b.Generated, "punted", b.Punted)
	t.row(" ", " ", "consumed", b.Consumed)
	t.row(" ", " ", "dropped", dropped)
	t.row(" ", " ", "held", b.Held)
	t.row("sum", b.Rx+b.Injected+b.Generated, "sum", b.Tx+b.TxDropped+b.Punted+b.Consumed+dropped+b.Held)
}

func total(counts map[string]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

func flowsTable(t *table, page api.FlowPage) {
	t.head("SERVICE", "PROTOCOL", "CLIENT", "VIP", "REAL SERVER", "STATE", "AGE", "EXPIRES IN", "LCORE")
	for _, f := range page.Flows {
		t.row(f.Service, f.Protocol, f.Client, f.VIP, f.RealServer, f.State, inTime(f.AgeSeconds), inTime(f.ExpiresSecond), f.Lcore)
	}
	t.truncated(page.Truncated)
}

// truncated says how to see the rest of a list.
func (t *table) truncated(more bool) {
	if more {
		t.note("There are more: --limit shows more of them, --service, --real-server and --client only some.")
	}
}

func persistenceTable(t *table, page api.PersistencePage) {
	t.head("SERVICE", "CLIENT", "REAL SERVER", "FLOWS", "EXPIRES IN")
	for _, p := range page.Templates {
		left := inTime(p.ExpiresSecond)
		if p.Flows > 0 {
			left = "" // the flows keep it
		}
		t.row(p.Service, p.Client, p.RealServer, p.Flows, left)
	}
	t.truncated(page.Truncated)
}

// portsTable has two tables, as one would be too wide for a terminal.
func portsTable(t *table, list api.PortList) {
	t.head("PORT", "LINK", "SPEED", "MAC", "DIP", "KERNEL INTERFACE", "MTU", "RX QUEUES", "DRIVER", "DEVICE")
	for _, p := range list.Ports {
		t.row(p.Name, shaded(upDown(p.LinkUp)), inSpeed(p.SpeedMbps), p.MAC, p.Address, p.KernelInterface, p.MTU, p.RxQueues, p.Driver, p.Device)
	}
	t.gap()
	t.head("PORT", "RX PACKETS", "RX BYTES", "RX MISSED", "RX NO MBUF", "TX PACKETS", "TX BYTES", "TX DROPPED")
	for _, p := range list.Ports {
		t.row(p.Name, p.RxPackets, inBytes(p.RxBytes), p.RxMissed, p.RxNoMbuf, p.TxPackets, inBytes(p.TxBytes), p.TxDropped)
	}
}

func lcoresTable(t *table, list api.LcoreList) {
	t.head("LCORE", "SOCKET", "IDLE", "BUSY", "POLLS", "EMPTY POLLS", "RX PACKETS")
	for _, l := range list.Lcores {
		t.row(l.Lcore, l.Socket, l.Idle, inPercent(l.Busy), l.Polls, l.EmptyPolls, l.RxPackets)
	}
	t.gap()
	t.head("LCORE", "FLOWS", "CAPACITY", "FILL", "INSERTS", "EVICTIONS", "EXPIRATIONS", "FULL", "MEMORY")
	for _, l := range list.Lcores {
		t.row(l.Lcore, l.FlowEntries, l.FlowCapacity, fill(l), l.FlowInserts, l.FlowEvictions, l.FlowExpirations, l.FlowFull, l.FlowMemory)
	}
}

func fill(l api.Lcore) string {
	if l.FlowCapacity == 0 {
		return ""
	}
	return inPercent(float64(l.FlowEntries) / float64(l.FlowCapacity))
}

func neighboursTable(t *table, list api.NeighbourList) {
	t.head("ADDRESS", "MAC", "STATE", "SOURCE")
	for _, n := range list.Neighbours {
		t.row(n.Address, n.MAC, shaded(n.State), n.Source)
	}
	conflictsTable(t, list.Conflicts)
}

// conflictsTable is empty, its head included, where all is well.
func conflictsTable(t *table, conflicts []api.Conflict) {
	if len(conflicts) == 0 {
		return
	}
	t.gap()
	t.head("CLAIMED", "BY", "MAC", "SINCE")
	for _, c := range conflicts {
		t.row(c.Address, cell{text: holderName(c), colour: red}, c.MAC, inTheZone(c.Since))
	}
	for _, c := range conflicts {
		t.note("Mend: %s", c.Mend)
	}
}

// holderName is who claims an address.
func holderName(c api.Conflict) string {
	switch c.Holder {
	case api.HolderRealServer:
		return fmt.Sprintf("real server %v", c.RealServers[0])
	case api.HolderDirector:
		return "the peer director"
	}
	return "a stranger"
}

// dropsTable has the most frequent reason first.
func dropsTable(t *table, d api.DropCounts) {
	t.head("REASON", "FRAMES")
	for _, reason := range slices.SortedFunc(maps.Keys(d.Drops), func(a, b string) int {
		return cmp.Or(cmp.Compare(d.Drops[b], d.Drops[a]), cmp.Compare(a, b))
	}) {
		t.row(reason, d.Drops[reason])
	}
}

func roleTable(t *table, r api.RoleSetting) { t.row(shaded(string(r.Role))) }

func generationsTable(t *table, list api.GenerationList) {
	t.head("GENERATION", "SAVED", "SERVICES", "IN FORCE")
	for _, g := range list.Generations {
		t.row(g.Generation, inTheZone(g.Saved), serviceCount(g.Services), inForce(g.InForce))
	}
}

func serviceCount(n int) cell {
	if n < 0 {
		return cell{text: "its file cannot be read", colour: red}
	}
	return cell{text: fmt.Sprint(n)}
}

func inForce(yes bool) string {
	if yes {
		return "yes"
	}
	return ""
}

// shades are the colours of states that are not as they should be.
var shades = map[string]colour{
	"down": red, "no_mac": red, "conflict": red, "failed": red, "link_down": red,
	"draining": yellow, "overloaded": yellow, "ejected": yellow, "standby": yellow, "probing": yellow, "incomplete": yellow,
}

// shaded is a state in its colour.
func shaded(state string) cell { return cell{text: state, colour: shades[state]} }

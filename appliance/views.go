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
	t.row("ROLE", s.Role)
	t.row("READY", readiness(s))
	t.row("GENERATION", generation(s))
	t.row("MAGLEV KEY", s.MaglevKeyFingerprint)
	t.gap()
	t.row("VIP", "STATE", "HELD BY")
	for _, v := range s.VIPs {
		t.row(v.Address, v.State, v.ConflictMAC)
	}
	t.gap()
	t.row("PORT", "LINK")
	for _, p := range s.Ports {
		t.row(p.Name, upDown(p.LinkUp))
	}
	t.gap()
	t.row("LCORE", "BUSY", "FLOWS")
	for _, l := range s.Lcores {
		t.row(l.Lcore, inPercent(l.Busy), l.Flows)
	}
	t.gap()
	booksTable(t, s.Books)
}

func readiness(s api.Status) string {
	if s.Ready {
		return "yes"
	}
	return "no: " + strings.Join(s.NotReady, "; ")
}

func generation(s api.Status) string {
	if s.LastApplySuccessful {
		return fmt.Sprint(s.Generation)
	}
	return fmt.Sprintf("%d (the last change was refused)", s.Generation)
}

// booksTable shows the two sides of the sum rule, which are equal once traffic is quiet.
func booksTable(t *table, b api.Books) {
	dropped := total(b.Drops)
	t.row("FRAMES IN", "COUNT", "FRAMES OUT", "COUNT")
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

func servicesTable(t *table, list api.ServiceList) {
	t.row("SERVICE", "VIP", "PROTOCOL", "PORT", "SCHEDULER", "REAL SERVERS UP", "ACTIVE", "INACTIVE", "CONNECTIONS", "RESCHEDULED", "PACKETS", "BYTES")
	for _, s := range list.Services {
		up, active, inactive := tally(s.Live.RealServers)
		t.row(s.Name, s.VIP, s.Protocol, anyPort(s.Port), s.Scheduler, fmt.Sprintf("%d of %d", up, len(s.RealServers)), active, inactive,
			s.Live.Connections, s.Live.RescheduledFlows, s.Live.Packets, inBytes(s.Live.Bytes))
	}
}

func tally(servers []api.RealServerLive) (up int, active, inactive uint64) {
	for _, rs := range servers {
		if rs.State == "up" {
			up++
		}
		active += rs.ActiveFlows
		inactive += rs.InactiveFlows
	}
	return up, active, inactive
}

func anyPort(port uint16) string {
	if port == 0 {
		return "any"
	}
	return fmt.Sprint(port)
}

func realServersTable(t *table, list api.ServiceList) {
	t.row("SERVICE", "REAL SERVER", "WEIGHT", "STATE", "HEALTH", "MAC", "ACTIVE", "INACTIVE", "CONNECTIONS", "PACKETS", "BYTES")
	for _, s := range list.Services {
		for _, rs := range s.Live.RealServers {
			t.row(s.Name, rs.Address, rs.Weight, rs.State, healthCell(rs.Health), rs.MAC, rs.ActiveFlows, rs.InactiveFlows,
				rs.Connections, rs.Packets, inBytes(rs.Bytes))
		}
	}
}

func healthCell(h api.Health) string {
	switch {
	case h.Up:
		return fmt.Sprintf("up, %.2f ms", h.LatencyMS)
	case h.LastError != "":
		return "down: " + h.LastError
	}
	return "down"
}

func flowsTable(t *table, page api.FlowPage) {
	t.row("SERVICE", "PROTOCOL", "CLIENT", "VIP", "REAL SERVER", "STATE", "AGE", "EXPIRES IN", "LCORE")
	for _, f := range page.Flows {
		t.row(f.Service, f.Protocol, f.Client, f.VIP, f.RealServer, f.State, inTime(f.AgeSeconds), inTime(f.ExpiresSecond), f.Lcore)
	}
	if page.Truncated {
		t.note("There are more: --limit shows more of them, --service, --real-server and --client only some.")
	}
}

// portsTable has two tables, as one would be too wide for a terminal.
func portsTable(t *table, list api.PortList) {
	t.row("PORT", "LINK", "SPEED", "MAC", "DIP", "KERNEL INTERFACE", "MTU", "RX QUEUES", "DRIVER", "DEVICE")
	for _, p := range list.Ports {
		t.row(p.Name, upDown(p.LinkUp), inSpeed(p.SpeedMbps), p.MAC, p.Address, p.KernelInterface, p.MTU, p.RxQueues, p.Driver, p.Device)
	}
	t.gap()
	t.row("PORT", "RX PACKETS", "RX BYTES", "RX MISSED", "RX NO MBUF", "TX PACKETS", "TX BYTES", "TX DROPPED")
	for _, p := range list.Ports {
		t.row(p.Name, p.RxPackets, inBytes(p.RxBytes), p.RxMissed, p.RxNoMbuf, p.TxPackets, inBytes(p.TxBytes), p.TxDropped)
	}
}

func lcoresTable(t *table, list api.LcoreList) {
	t.row("LCORE", "SOCKET", "IDLE", "BUSY", "POLLS", "EMPTY POLLS", "RX PACKETS")
	for _, l := range list.Lcores {
		t.row(l.Lcore, l.Socket, l.Idle, inPercent(l.Busy), l.Polls, l.EmptyPolls, l.RxPackets)
	}
	t.gap()
	t.row("LCORE", "FLOWS", "CAPACITY", "FILL", "INSERTS", "EVICTIONS", "EXPIRATIONS", "FULL", "MEMORY")
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
	t.row("ADDRESS", "MAC", "STATE", "SOURCE")
	for _, n := range list.Neighbours {
		t.row(n.Address, n.MAC, n.State, n.Source)
	}
}

// dropsTable has the most frequent reason first.
func dropsTable(t *table, d api.DropCounts) {
	t.row("REASON", "FRAMES")
	for _, reason := range slices.SortedFunc(maps.Keys(d.Drops), func(a, b string) int {
		return cmp.Or(cmp.Compare(d.Drops[b], d.Drops[a]), cmp.Compare(a, b))
	}) {
		t.row(reason, d.Drops[reason])
	}
}

func roleTable(t *table, r api.RoleSetting) { t.note("%s", r.Role) }

func appliedTable(t *table, a api.Applied, dryRun bool) {
	if dryRun {
		t.note("The director would accept this. Nothing was changed: generation %d stays in force.", a.Generation)
	} else {
		t.note("Generation %d is in force.", a.Generation)
	}
	for _, change := range a.Changes {
		t.note("  %s", change)
	}
	for _, note := range a.Notes {
		t.note("Note: %s", note)
	}
}

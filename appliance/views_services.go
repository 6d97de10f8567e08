package main

import (
	"fmt"
	"slices"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/probe"
)

func servicesTable(t *table, list api.ServiceList) {
	t.head("SERVICE", "VIP", "PROTOCOL", "PORT", "SCHEDULER", "REAL SERVERS UP", "QUORUM", "SORRY SERVER", "ACTIVE", "INACTIVE", "CONNECTIONS",
		"RESCHEDULED", "PACKETS", "BYTES")
	for _, s := range list.Services {
		up, active, inactive := tally(s)
		t.row(s.Name, s.VIP, s.Protocol, anyPort(s.Port), s.Scheduler, up, quorumCell(s), sorryCell(s.Live), active, inactive,
			s.Live.Connections, s.Live.RescheduledFlows, s.Live.Packets, inBytes(s.Live.Bytes))
	}
}

// tally tells how many of a service's real servers are up, and the sums of their flows.
func tally(s api.Service) (up cell, active, inactive uint64) {
	n := 0
	for _, rs := range s.Live.RealServers {
		if rs.State == "up" {
			n++
		}
		active += rs.ActiveFlows
		inactive += rs.InactiveFlows
	}
	up.text = fmt.Sprintf("%d of %d", n, len(s.RealServers))
	switch {
	case n == 0:
		up.colour = red
	case n < len(s.RealServers):
		up.colour = yellow
	}
	return up, active, inactive
}

// quorumCell tells whether enough weight is usable.
func quorumCell(s api.Service) cell {
	if s.Live.Quorum {
		return cell{text: "yes"}
	}
	return cell{text: fmt.Sprintf("no: weight %d of %d", s.Live.UsableWeight, s.Quorum+s.Hysteresis), colour: red}
}

// sorryCell tells who gets the new flows while there is no quorum.
func sorryCell(l api.ServiceLive) cell {
	switch sorry := l.SorryServer; {
	case sorry == nil:
		return cell{}
	case sorry.State != "up":
		return cell{text: fmt.Sprintf("%s (%s)", sorry.Address, sorry.State), colour: red}
	case !l.Quorum:
		return cell{text: fmt.Sprintf("%s (in use)", sorry.Address), colour: yellow}
	default:
		return cell{text: sorry.Address.String()}
	}
}

func anyPort(port uint16) string {
	if port == 0 {
		return "any"
	}
	return fmt.Sprint(port)
}

// realServers are those of a service, and its sorry server.
func realServers(l api.ServiceLive) []api.RealServerLive {
	if l.SorryServer == nil {
		return l.RealServers
	}
	return append(slices.Clip(l.RealServers), *l.SorryServer)
}

func realServersTable(t *table, list api.ServiceList) {
	t.head("SERVICE", "REAL SERVER", "WEIGHT", "STATE", "HEALTH", "DIAGNOSIS", "MAC", "ACTIVE", "INACTIVE", "CONNECTIONS",
		"UNANSWERED", "HANDSHAKE", "PACKETS", "BYTES")
	for _, s := range list.Services {
		for _, rs := range realServers(s.Live) {
			t.row(s.Name, rs.Address, weightCell(s, rs), stateCell(rs), healthCell(rs.Health), diagnosisCell(rs.Diagnosis), rs.MAC, rs.ActiveFlows,
				rs.InactiveFlows, rs.Connections, unansweredCell(rs.Handshakes), handshakeCell(rs.Handshakes), rs.Packets, inBytes(rs.Bytes))
		}
	}
	for _, s := range list.Services {
		for _, rs := range s.Live.RealServers {
			mendNotes(t, s.Name, rs)
		}
	}
}

// diagnosisCell is what the way to a real server is like; empty if it is not probed.
func diagnosisCell(d *api.Diagnosis) cell {
	switch {
	case d == nil:
		return cell{}
	case d.Diagnosis == probe.OK:
		return cell{text: string(d.Diagnosis)}
	}
	return cell{text: string(d.Diagnosis), colour: red}
}

// mendNotes tell what is wrong with the way to a real server, and which commands mend it.
func mendNotes(t *table, service string, rs api.RealServerLive) {
	if rs.Diagnosis == nil || rs.Diagnosis.Diagnosis == probe.OK {
		return
	}
	t.gap()
	t.note("%s %s: %s: %s", service, rs.Address, rs.Diagnosis.Diagnosis, rs.Diagnosis.Why)
	for _, command := range rs.Diagnosis.Mend {
		t.note("  %s", command)
	}
}

// weightCell is a real server's weight, and how much of it counts during slow start. The sorry server has none.
func weightCell(s api.Service, rs api.RealServerLive) cell {
	switch {
	case s.Live.SorryServer != nil && rs.Address == s.Live.SorryServer.Address:
		return cell{text: "sorry"}
	case rs.State == "up" && rs.Share < 1:
		return cell{text: fmt.Sprintf("%d (%.0f %% now)", rs.Weight, 100*rs.Share), colour: yellow}
	}
	return cell{text: fmt.Sprint(rs.Weight)}
}

// stateCell is a real server's state; while it is drained, with the flows that are left.
func stateCell(rs api.RealServerLive) cell {
	c := shaded(rs.State)
	if rs.Drain != nil {
		c.text += fmt.Sprintf(", flows left: %d", rs.Drain.Flows)
	}
	return c
}

// unansweredCell is the share of connections that were begun and not answered.
func unansweredCell(h api.Handshakes) cell {
	if h.Answered+h.Unanswered == 0 {
		return cell{}
	}
	return cell{text: fmt.Sprintf("%.1f %%", 100*h.UnansweredShare)}
}

// handshakeCell is the time from SYN to first ACK: of half of the connections, and of 99 in 100.
func handshakeCell(h api.Handshakes) cell {
	if h.MedianMS == nil || h.P99MS == nil {
		return cell{}
	}
	return cell{text: fmt.Sprintf("%.0f ms, p99 %.0f ms", *h.MedianMS, *h.P99MS), prose: true}
}

func healthCell(h api.Health) cell {
	switch {
	case h.Up:
		return cell{text: fmt.Sprintf("up, %.2f ms", h.LatencyMS), prose: true}
	case h.LastError != "":
		return cell{text: "down: " + h.LastError, colour: red, prose: true}
	}
	return cell{text: "down", colour: red, prose: true}
}

func drainsTable(t *table, list api.ServiceList) {
	t.head("SERVICE", "REAL SERVER", "DRAINED SINCE", "FLOWS LEFT", "OF", "ETA", "DEADLINE", "THEN", "STATE")
	for _, s := range list.Services {
		for _, rs := range s.Live.RealServers {
			if d := rs.Drain; d != nil {
				t.row(s.Name, rs.Address, inTheZone(d.Since), d.Flows, d.FlowsAtStart, eta(d), deadline(d), d.Then, drainState(d))
			}
		}
	}
}

// eta is when the last flow will have ended, at the pace so far.
func eta(d *api.DrainLive) string {
	if d.ETASeconds == nil {
		return ""
	}
	return "in " + inTime(*d.ETASeconds)
}

func deadline(d *api.DrainLive) string {
	if d.EndsAt == nil {
		return "none"
	}
	return inTheZone(*d.EndsAt)
}

func drainState(d *api.DrainLive) cell {
	switch {
	case d.Empty:
		return cell{text: "empty"}
	case d.Over:
		return cell{text: "over", colour: yellow}
	}
	return cell{text: "draining", colour: yellow}
}

// inTheZone is a time as the clock on the wall shows it.
func inTheZone(t time.Time) string { return t.Local().Format(time.DateTime) }

// drainTable answers a drain that was begun or changed.
func drainTable(service string) func(*table, api.RealServer) {
	return func(t *table, rs api.RealServer) {
		d := rs.Live.Drain
		if d == nil { // ended by somebody else at once
			undrainTable(service)(t, rs)
			return
		}
		t.note("Real server %s of service %s gets no new flows. Flows left: %d.", rs.Address, service, d.Flows)
		if d.EndsAt != nil {
			t.note("Those left at %s: %s.", inTheZone(*d.EndsAt), d.Then)
		}
		t.note("turnout drains --watch shows how far it is, turnout undrain %s %s ends it.", service, rs.Address)
	}
}

// undrainTable answers a drain that was ended.
func undrainTable(service string) func(*table, api.RealServer) {
	return func(t *table, rs api.RealServer) {
		t.note("Real server %s of service %s is drained no longer. State: %s.", rs.Address, service, rs.Live.State)
	}
}

package main

import (
	"fmt"
	"math"
	"net/netip"

	"turnout/mgmt/api"
)

// rateHeads are the columns of ratesOf, named as by ipvsadm -L --rate: connections, packets and bytes per second.
var rateHeads = []string{"CPS", "INPPS", "INBPS"}

// counts are what rates are worked out from.
type counts struct{ connections, packets, bytes uint64 }

// realServerKey is a real server in one service; the zero address stands for the service itself.
type realServerKey struct {
	service string
	address netip.Addr
}

// countsOf are the counts of all services and their real servers.
func countsOf(list api.ServiceList) map[realServerKey]counts {
	all := map[realServerKey]counts{}
	for _, s := range list.Services {
		all[realServerKey{service: s.Name}] = counts{s.Live.Connections, s.Live.Packets, s.Live.Bytes}
		for _, rs := range realServers(s.Live) {
			all[realServerKey{s.Name, rs.Address}] = counts{rs.Connections, rs.Packets, rs.Bytes}
		}
	}
	return all
}

// ratesOf are the cells of a key's rates. They are empty where there is nothing to tell them from: for the first reading,
// for what was added since, and for counters that went back, as they do when the director starts again.
func ratesOf(key realServerKey, before, now map[realServerKey]counts, seconds float64) []any {
	from, known := before[key]
	to := now[key]
	if !known || seconds <= 0 || to.connections < from.connections || to.packets < from.packets || to.bytes < from.bytes {
		return []any{"", "", ""}
	}
	return []any{
		inRate(float64(to.connections-from.connections) / seconds),
		inRate(float64(to.packets-from.packets) / seconds),
		inBytes(uint64(math.Round(float64(to.bytes-from.bytes) / seconds))),
	}
}

// inRate is a number per second: small ones have a decimal.
func inRate(perSecond float64) string {
	if perSecond > 0 && perSecond < 9.95 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return fmt.Sprintf("%.0f", perSecond)
}

// serviceRates has fewer columns than servicesTable: the rates shall be seen on a terminal of 80 characters.
func serviceRates(t *table, before, now reading[api.ServiceList]) {
	t.head(append([]string{"SERVICE", "VIP", "UP", "ACTIVE", "INACTIVE"}, rateHeads...)...)
	past, present := countsOf(before.answer), countsOf(now.answer)
	for _, s := range now.answer.Services {
		up, active, inactive := tally(s)
		row := []any{s.Name, s.VIP, up, active, inactive}
		t.row(append(row, ratesOf(realServerKey{service: s.Name}, past, present, now.seconds(before))...)...)
	}
}

func realServerRates(t *table, before, now reading[api.ServiceList]) {
	t.head(append([]string{"SERVICE", "REAL SERVER", "STATE", "ACTIVE", "INACTIVE"}, rateHeads...)...)
	past, present := countsOf(before.answer), countsOf(now.answer)
	for _, s := range now.answer.Services {
		for _, rs := range realServers(s.Live) {
			row := []any{s.Name, rs.Address, shaded(rs.State), rs.ActiveFlows, rs.InactiveFlows}
			t.row(append(row, ratesOf(realServerKey{s.Name, rs.Address}, past, present, now.seconds(before))...)...)
		}
	}
}

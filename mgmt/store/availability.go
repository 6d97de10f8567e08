package store

import (
	"math"
	"net/netip"
	"slices"
)

// availability judges what happens when real servers are down, and how many may be.
func (v *validator) availability(svc Service, at *place) {
	if sentence := onDowns.refusal(string(svc.OnDown)); sentence != "" {
		v.wrong(at.in("on_down"), "%s", sentence)
	}
	if sentence := refusals.refusal(string(svc.NoRealServer)); sentence != "" {
		v.wrong(at.in("no_real_server"), "%s", sentence)
	}
	v.quorum(svc, at)
}

// flowKeys judges what is remembered of flows.
func (v *validator) flowKeys(svc Service, at *place) {
	if svc.OnePacket && svc.Protocol != UDP {
		v.wrong(at.in("one_packet"), "is for udp services only: the packets of a TCP connection must all find the same real server; delete it")
	}
	if svc.OnePacket && svc.Persistence > 0 {
		v.wrong(at.in("one_packet"), "does not go with persistence, which remembers the client: delete one of them")
	}
	if svc.StrictTCP && svc.Protocol != TCP {
		v.wrong(at.in("strict_tcp"), "is for tcp services only: there is no SYN in other protocols; delete it")
	}
}

// quorum judges the watermarks. Weights below the upper one are noted only: a real server may be quiesced for a while.
func (v *validator) quorum(svc Service, at *place) {
	if svc.Quorum < minQuorum {
		v.wrong(at.in("quorum"), "%d is out of range: %s", svc.Quorum, rangeText(minQuorum, math.MaxUint32))
		return
	}
	if svc.Hysteresis >= svc.Quorum {
		v.wrong(at.in("hysteresis"), "%d is not less than the quorum (%d): a quorum is lost below quorum - hysteresis, so it "+
			"would never be; use at most %d", svc.Hysteresis, svc.Quorum, svc.Quorum-1)
		return
	}
	total, regained := totalWeight(svc.RealServers), uint64(svc.Quorum)+uint64(svc.Hysteresis)
	if total < regained && regained > minQuorum {
		v.note(at.in("quorum"), "the weights of the real servers add up to %d, which never reaches quorum + hysteresis (%d): "+
			"a lost quorum stays lost", total, regained)
	}
}

func totalWeight(servers []RealServer) uint64 {
	total := uint64(0)
	for _, rs := range servers {
		total += uint64(rs.Weight)
	}
	return total
}

// sorryServer judges the sorry server as a real server is judged.
func (v *validator) sorryServer(svc Service, at *place, vips map[netip.Addr]*place, macs map[netip.Addr]string) {
	sorry := svc.SorryServer
	if sorry == (SorryServer{}) {
		return
	}
	v.address(sorry.Address, at.in("address"), vips)
	v.mac(sorry.Address, sorry.MAC, at.in("mac"), macs)
	if slices.ContainsFunc(svc.RealServers, func(rs RealServer) bool { return rs.Address == sorry.Address }) {
		v.wrong(at.in("address"), "%s is a real server of this service: when the quorum is lost it is likely down itself; "+
			"choose another host", sorry.Address)
	}
}

// thresholds judges the connection limits of a real server.
func (v *validator) thresholds(rs RealServer, at *place) {
	switch upper, lower := rs.UpperThreshold, rs.LowerThreshold; {
	case lower > 0 && upper == 0:
		v.wrong(at.in("lower_threshold"), "%d stands alone: it tells when a real server that has reached its upper_threshold "+
			"gets flows again; give that too, or delete this", lower)
	case lower > 0 && lower >= upper:
		v.wrong(at.in("lower_threshold"), "%d is not less than upper_threshold (%d): write a lower number, or none for three "+
			"quarters of it", lower, upper)
	}
}

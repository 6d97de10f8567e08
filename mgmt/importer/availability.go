package importer

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"turnout/mgmt/store"
)

// onePackets takes over one-packet scheduling, which IPVS has for UDP only.
func (v *virtualService) onePackets(svc *store.Service) {
	switch {
	case v.onePacket.line == 0:
	case svc.Protocol != store.UDP:
		v.remark(v.onePacket.line, "one-packet scheduling (%s) is for udp: not carried over, as IPVS passes over it as well", v.onePacket.text)
	case svc.Persistence > 0:
		v.remark(v.onePacket.line, "one-packet scheduling (%s) does not go with persistence, which remembers the client: not carried over", v.onePacket.text)
	default:
		svc.OnePacket = true
	}
}

// quorums takes over how much weight the service needs, by keepalived's rules: at least 1, and hysteresis below it.
func (v *virtualService) quorums(svc *store.Service) {
	svc.Quorum = max(1, v.weight(v.quorum, "quorum", svc.Quorum))
	svc.Hysteresis = v.weight(v.hysteresis, "hysteresis", svc.Hysteresis)
	if svc.Hysteresis >= svc.Quorum {
		v.remark(v.hysteresis.line, "hysteresis %d is not less than the quorum (%d): %d is in its place", svc.Hysteresis, svc.Quorum, svc.Quorum-1)
		svc.Hysteresis = svc.Quorum - 1
	}
}

// weight returns the value of an option, or usual if there is none that can be read.
func (v *virtualService) weight(o option, key string, usual uint32) uint32 {
	if o.line == 0 {
		return usual
	}
	n, err := strconv.ParseUint(o.text, 10, 32)
	if err != nil {
		v.remark(o.line, "%s %s is no whole number: %d is in its place", key, printable(o.text), usual)
		return usual
	}
	return uint32(n)
}

// sorryServer takes over the server of last resort, which is judged as a real server is.
func (c *collector) sorryServer(svc *store.Service, v virtualService) {
	if v.sorry.line == 0 {
		return
	}
	server, err := c.realServer(*svc, &v.sorry)
	if addr, _ := netip.ParseAddr(v.sorry.address); addr.IsLoopback() {
		err = errors.New("it is the director itself, which serves no pages: let another host on its segment do it, with the VIP " +
			"(turnout realserver --apply), write its address here and import again")
	}
	if slices.ContainsFunc(svc.RealServers, func(rs store.RealServer) bool { return rs.Address == server.Address }) {
		err = errors.New("it is a real server of the service: write another one here and import again")
	}
	if err != nil {
		c.remark(v.sorry.line, "sorry server %s left out: %v", printable(v.sorry.address), err)
		return
	}
	c.remarks = append(c.remarks, v.sorry.remarks...)
	svc.SorryServer.Address = server.Address
}

// thresholds takes over the limits of connections.
func (rs *realServer) thresholds(server *store.RealServer) {
	server.UpperThreshold, server.LowerThreshold = rs.limit(rs.upper), rs.limit(rs.lower)
	if server.LowerThreshold > 0 && server.LowerThreshold >= server.UpperThreshold {
		rs.remark(rs.lower.line, "the lower limit of connections (%d) to real server %s is not less than the upper one (%d; 0 is none): it is left out",
			server.LowerThreshold, printable(rs.address), server.UpperThreshold)
		server.LowerThreshold = 0
	}
}

// limit returns a number of connections; 0, as in IPVS, is no limit.
func (rs *realServer) limit(o option) uint32 {
	if o.line == 0 {
		return 0
	}
	n, err := strconv.ParseUint(o.text, 10, 32)
	if err != nil {
		rs.remark(o.line, "%s is no limit of connections to real server %s: there is none", printable(o.text), printable(rs.address))
		return 0
	}
	return uint32(n)
}

package director

import (
	"net/netip"
	"strings"

	"turnout/lcore/frame"
	"turnout/mgmt/api"
	"turnout/mgmt/health"
	"turnout/mgmt/probe"
	"turnout/mgmt/store"
)

// pathTo is the probe of the way to a real server that clients' packets take; zero: there is none.
func pathTo(svc *store.Service, rs *store.RealServer) (p health.Path) {
	way := svc.PathProbe()
	if way.Port == 0 {
		return p
	}
	p.Target = probe.Target{VIP: netip.AddrPortFrom(svc.VIP, way.Port), RIP: netip.AddrPortFrom(rs.Address, way.RIPPort)}
	if svc.Protocol == store.UDP {
		p.Datagram = health.Datagram(way.Check)
	}
	if rs.MAC != "" {
		p.MAC, _ = frame.ParseMAC(rs.MAC) // Validate has read it
	}
	check := way.Check
	p.Counts = way.Counts
	p.Check = store.HealthCheck{Interval: check.Interval, Timeout: check.Timeout, Rise: check.Rise, Fall: check.Fall, Initial: check.Initial}
	return p
}

// diagnosisOf puts a diagnosis into the API's form; nil: there is none.
func diagnosisOf(f *probe.Finding) *api.Diagnosis {
	if f.Diagnosis == "" {
		return nil
	}
	d := &api.Diagnosis{Diagnosis: f.Diagnosis, Why: f.Why}
	if f.Mend != "" {
		d.Mend = strings.Split(f.Mend, "\n")
	}
	return d
}

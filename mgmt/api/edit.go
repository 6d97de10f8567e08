package api

import (
	"net/netip"
	"slices"

	"turnout/mgmt/store"
)

// setService replaces the service of the same name in its place, or appends it; created tells which.
func setService(s *store.State, svc store.Service) (created bool) {
	i := indexService(s, svc.Name)
	if i < 0 {
		s.Services = append(s.Services, svc)
		return true
	}
	s.Services[i] = svc
	return false
}

func deleteService(s *store.State, name string) error {
	i := indexService(s, name)
	if i < 0 {
		return noService(name)
	}
	s.Services = slices.Delete(s.Services, i, i+1)
	return nil
}

// setRealServer replaces the real server of the same address in its place, or appends it; created tells which.
func setRealServer(s *store.State, service string, rs store.RealServer) (created bool, err error) {
	i := indexService(s, service)
	if i < 0 {
		return false, noService(service)
	}
	servers := &s.Services[i].RealServers
	k := indexRealServer(*servers, rs.Address)
	if k < 0 {
		*servers = append(*servers, rs)
		return true, nil
	}
	(*servers)[k] = rs
	return false, nil
}

func deleteRealServer(s *store.State, service string, address netip.Addr) error {
	i := indexService(s, service)
	if i < 0 {
		return noService(service)
	}
	servers := &s.Services[i].RealServers
	k := indexRealServer(*servers, address)
	if k < 0 {
		return noRealServer(service, address)
	}
	*servers = slices.Delete(*servers, k, k+1)
	return nil
}

func indexService(s *store.State, name string) int {
	return slices.IndexFunc(s.Services, func(svc store.Service) bool { return svc.Name == name })
}

func indexRealServer(servers []store.RealServer, address netip.Addr) int {
	return slices.IndexFunc(servers, func(rs store.RealServer) bool { return rs.Address == address })
}

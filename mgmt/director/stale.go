package director

import (
	"net/netip"
	"slices"
	"sync"

	"turnout/mgmt/store"
)

// stale collects what must be looked at again, so that a thousand changes at once cost one snapshot, and those who tell
// of them never wait.
type stale struct {
	mu       sync.Mutex
	services map[string]bool
	servers  map[netip.Addr]bool
	wake     chan struct{} // holds one
}

func newStale() *stale {
	return &stale{services: map[string]bool{}, servers: map[netip.Addr]bool{}, wake: make(chan struct{}, 1)}
}

func (s *stale) add(service string, servers ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if service != "" {
		s.services[service] = true
	}
	for _, a := range servers {
		s.servers[a] = true
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take empties the collection and tells which services are in it, by their name or one of their real servers.
func (s *stale) take() func(*store.Service) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	services, servers := s.services, s.servers
	s.services, s.servers = map[string]bool{}, map[netip.Addr]bool{}
	return func(svc *store.Service) bool {
		return services[svc.Name] || slices.ContainsFunc(members(svc), func(rs store.RealServer) bool { return servers[rs.Address] })
	}
}

// named tells the service of that name.
func named(name string) func(*store.Service) bool {
	return func(svc *store.Service) bool { return svc.Name == name }
}

// HealthChanged says that a real server of a service went up or down.
func (d *Director) HealthChanged(service string) { d.stale.add(service) }

// MACsChanged says that other MACs are known of these real servers.
func (d *Director) MACsChanged(servers []netip.Addr) { d.stale.add("", servers...) }

package store

import (
	"net/netip"
	"slices"
)

// State is the desired state: everything that services.yaml says.
// It holds values only; two States that say the same are equal under reflect.DeepEqual.
type State struct {
	Services []Service `yaml:"services" json:"services"`
}

// Clone returns a State that shares no memory with s.
func (s State) Clone() State {
	services := slices.Clone(s.Services)
	for i, svc := range services {
		services[i].HealthChecks = slices.Clone(svc.HealthChecks)
		services[i].RealServers = slices.Clone(svc.RealServers)
	}
	return State{Services: services}
}

// Service is one virtual service: a VIP, a protocol and an L4 port, with the real servers behind it.
type Service struct {
	Name         string       `yaml:"name" json:"name"`
	VIP          netip.Addr   `yaml:"vip" json:"vip"`
	Protocol     Protocol     `yaml:"protocol" json:"protocol"`
	Port         uint16       `yaml:"port" json:"port"` // 0: every port that has no service of its own
	Scheduler    string       `yaml:"scheduler" json:"scheduler"`
	Maglev       Maglev       `yaml:"maglev" json:"maglev"`
	Timeouts     Timeouts     `yaml:"timeouts" json:"timeouts"`
	HealthChecks HealthChecks `yaml:"health_check" json:"health_check"` // one mapping or a list in the file; all must pass
	RealServers  []RealServer `yaml:"real_servers" json:"real_servers"`
}

// Protocol is the L4 protocol of a service: tcp or udp.
type Protocol string

// The protocols a service can have.
const (
	TCP Protocol = "tcp"
	UDP Protocol = "udp"
)

// Maglev holds the options of the maglev scheduler.
type Maglev struct {
	TableSize int     `yaml:"table_size" json:"table_size"` // a prime; 65537 unless given
	Hash      HashKey `yaml:"hash" json:"hash"`
}

// HashKey names the parts of a packet that choose the real server.
type HashKey string

// What a scheduler may hash.
const (
	HashFiveTuple HashKey = "five-tuple"
	HashSource    HashKey = "source" // the client address only
)

// Timeouts say how long a silent flow is remembered, by its state.
type Timeouts struct {
	Established Duration `yaml:"established" json:"established"`
	SynReceived Duration `yaml:"syn_received" json:"syn_received"`
	FinWait     Duration `yaml:"fin_wait" json:"fin_wait"`
	UDP         Duration `yaml:"udp" json:"udp"`
}

// RealServer is a server behind a virtual service.
type RealServer struct {
	Address netip.Addr `yaml:"address" json:"address"`
	Weight  uint16     `yaml:"weight" json:"weight"` // share of new flows; 1 unless given; 0 quiesces
	MAC     string     `yaml:"mac,omitempty" json:"mac,omitempty"`
}

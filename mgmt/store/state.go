package store

import (
	"net/netip"
	"time"
)

// State is the desired state: everything that services.yaml says.
type State struct {
	Services []Service `yaml:"services" json:"services"`
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

// Duration is a time.Duration written as text ("10m") in YAML and JSON.
type Duration time.Duration

// HealthChecks are the checks that a real server must all pass.
type HealthChecks []HealthCheck

// HealthCheck is one kind of probe and how its results are counted.
type HealthCheck struct {
	Type     CheckType `yaml:"type" json:"type"`
	Port     uint16    `yaml:"port" json:"port"` // the service's own port unless given
	Interval Duration  `yaml:"interval" json:"interval"`
	Timeout  Duration  `yaml:"timeout" json:"timeout"`
	Rise     int       `yaml:"rise" json:"rise"`                     // successes in a row that bring a real server up
	Fall     int       `yaml:"fall" json:"fall"`                     // failures in a row that take it down
	Host     string    `yaml:"host,omitempty" json:"host,omitempty"` // http: Host header
	Path     string    `yaml:"path,omitempty" json:"path,omitempty"` // http: "/" unless given
}

// CheckType names a kind of health check.
type CheckType string

// The checks of this version; none means always up.
const (
	CheckNone CheckType = "none"
	CheckTCP  CheckType = "tcp"
	CheckHTTP CheckType = "http"
)

// RealServer is a server behind a virtual service.
type RealServer struct {
	Address netip.Addr `yaml:"address" json:"address"`
	Weight  uint16     `yaml:"weight" json:"weight"` // share of new flows; 1 unless given; 0 quiesces
	MAC     string     `yaml:"mac,omitempty" json:"mac,omitempty"`
}

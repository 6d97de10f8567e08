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
	Name              string       `yaml:"name" json:"name"`
	VIP               netip.Addr   `yaml:"vip" json:"vip"`
	Protocol          Protocol     `yaml:"protocol" json:"protocol"`
	Port              uint16       `yaml:"port" json:"port"` // 0: every port that has no service of its own
	Scheduler         string       `yaml:"scheduler" json:"scheduler"`
	Maglev            Maglev       `yaml:"maglev" json:"maglev"`
	SlowStart         Duration     `yaml:"slow_start" json:"slow_start"`                 // a real server that comes up reaches its share in this time; 0: at once
	Gradual           Duration     `yaml:"gradual" json:"gradual"`                       // changed weights and real servers take effect in steps over this time; 0: at once
	Persistence       Duration     `yaml:"persistence" json:"persistence"`               // a client keeps its real server until this long after its last flow; 0: there is no persistence
	PersistencePrefix uint8        `yaml:"persistence_prefix" json:"persistence_prefix"` // leading bits of an address that make a client; 32 tells every address apart
	OnePacket         bool         `yaml:"one_packet" json:"one_packet"`                 // udp: no flow is remembered, the scheduler picks for each packet
	StrictTCP         bool         `yaml:"strict_tcp" json:"strict_tcp"`                 // tcp: a flow begins with a SYN, other packets of unknown flows are dropped
	OnDown            OnDown       `yaml:"on_down" json:"on_down"`
	NoRealServer      Refusal      `yaml:"no_real_server" json:"no_real_server"`
	Quorum            uint32       `yaml:"quorum" json:"quorum"`         // weight that must be usable, as in keepalived: 1 unless given
	Hysteresis        uint32       `yaml:"hysteresis" json:"hysteresis"` // a quorum is lost below quorum - hysteresis and regained at quorum + hysteresis
	SorryServer       SorryServer  `yaml:"sorry_server,omitempty" json:"sorry_server,omitzero"`
	Outlier           Outlier      `yaml:"outlier" json:"outlier"`
	Timeouts          Timeouts     `yaml:"timeouts" json:"timeouts"`
	HealthChecks      HealthChecks `yaml:"health_check" json:"health_check"` // one mapping or a list in the file; all must pass
	RealServers       []RealServer `yaml:"real_servers" json:"real_servers"`
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

// OnDown says what becomes of the flows of a real server that is down.
type OnDown string

// What can become of them.
const (
	OnDownReschedule OnDown = "reschedule" // another real server gets them at once
	OnDownKeep       OnDown = "keep"       // they stay, and wait for it
	OnDownDrop       OnDown = "drop"       // their packets are dropped until they expire
)

// Refusal says what a client is told when no real server can take its flow.
type Refusal string

// What it can be told.
const (
	RefuseDrop        Refusal = "drop"             // nothing
	RefuseUnreachable Refusal = "port_unreachable" // ICMP port unreachable (RFC 792), as IPVS does
)

// SorryServer gets the new flows while the quorum is lost. The zero value is none.
type SorryServer struct {
	Address netip.Addr `yaml:"address" json:"address"`
	MAC     string     `yaml:"mac,omitempty" json:"mac,omitempty"`
}

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

	// IPVS's connection limits: at UpperThreshold flows it gets no new ones, until there are fewer than LowerThreshold,
	// or than three quarters of UpperThreshold where that is 0. 0: no limit.
	UpperThreshold uint32 `yaml:"upper_threshold,omitempty" json:"upper_threshold,omitempty"`
	LowerThreshold uint32 `yaml:"lower_threshold,omitempty" json:"lower_threshold,omitempty"`
}

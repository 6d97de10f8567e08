package api

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"turnout/lcore"
	"turnout/mgmt/events"
	"turnout/mgmt/probe"
	"turnout/mgmt/store"
)

// Director is what the API needs of the appliance: reads of live state, and the one door for changes.
// All methods are safe for concurrent use and return copies.
type Director interface {
	Status() Status
	Services() ServiceList
	Ports() []Port
	Lcores() []Lcore
	Neighbours() []Neighbour
	Conflicts() []Conflict
	// Flows gathers up to q.Limit flows from the lcores by their mailboxes.
	Flows(ctx context.Context, q FlowQuery) (FlowPage, error)
	// Persistence lists up to q.Limit persistence templates.
	Persistence(q PersistenceQuery) PersistencePage
	// Explain tells what would become of a packet, by asking the lcore that has its flow.
	Explain(ctx context.Context, q ExplainQuery) (Explanation, error)
	Role() Role
	SetRole(ctx context.Context, r Role) error
	// Change edits the desired state: edit gets a copy and changes it; the result is validated, persisted and applied
	// as one new generation, or refused whole. ifMatch 0 means any generation.
	// Errors: *store.Mistakes (refused), ErrStale (ifMatch), store.ErrFileChanged (409), or a failure to write the file.
	// dryRun validates and plans without applying.
	Change(ctx context.Context, ifMatch uint64, dryRun bool, edit func(*store.State) error) (Applied, error)
	// SetDrain starts draining a real server, or changes how it is drained. Errors: ErrNotFound, or a failure to keep it.
	SetDrain(ctx context.Context, service string, address netip.Addr, drain Drain) error
	// EndDrain has a real server get new flows again; one that is not draining is left as it is. Errors as SetDrain.
	EndDrain(ctx context.Context, service string, address netip.Addr) error
	// Generations lists the states kept on disk, the one in force last.
	Generations() ([]Generation, error)
	// GenerationState is the desired state that generation n had. Errors: ErrNotFound, *store.Mistakes.
	GenerationState(n uint64) (store.State, error)
	// Dropped are the frames that are kept of a reason, the oldest first. Errors: ErrNotFound.
	Dropped(reason string) ([]Packet, error)
	// Capture begins to capture forwarded frames. Errors: ErrNotFound (service), ErrCapturing.
	Capture(q CaptureQuery) (Capture, error)
	// Events is where what happens is told.
	Events() *events.Hub
	// Ready says whether packets are forwarded, or why not (each entry one sentence).
	Ready() (ready bool, why []string)
}

// ErrStale answers a change whose If-Match is not the generation in force.
var ErrStale = errors.New("the generation in force is another one: read the state again and repeat the change on it")

// ErrNotFound answers an edit of a service or real server that does not exist.
var ErrNotFound = errors.New("not found")

// ErrStopping answers what comes too late.
var ErrStopping = errors.New("turnout is stopping")

// Applied tells what a change did, or would do. Changes are filled in by this package, the rest by the Director.
type Applied struct {
	Generation uint64       `json:"generation" doc:"generation in force after the change"`
	Changes    []string     `json:"changes,omitempty" doc:"what the change does, one sentence each"`
	Notes      []string     `json:"notes,omitempty" doc:"remarks that do not stop the change"`
	Slots      []MovedSlots `json:"slots,omitempty" doc:"positions of scheduling tables that get another real server, by service"`
	Flows      []MovedFlows `json:"flows,omitempty" doc:"live flows that do not stay as they are, by service; counted for a dry run only"`
	Announced  []netip.Addr `json:"announced,omitempty" doc:"VIPs whose ARP starts"`
	Withdrawn  []netip.Addr `json:"withdrawn,omitempty" doc:"VIPs whose ARP stops"`
}

// MovedSlots are the positions of a service's table that get another real server.
type MovedSlots struct {
	Service string  `json:"service"`
	Moved   int     `json:"moved"`
	Slots   int     `json:"slots" doc:"positions of the table"`
	Percent float64 `json:"percent"`
}

// MovedFlows are live flows of a service that a change touches.
type MovedFlows struct {
	Service     string `json:"service"`
	Rescheduled uint64 `json:"rescheduled" doc:"flows whose real server is removed: another gets them after five seconds"`
	Ended       uint64 `json:"ended" doc:"flows whose service is removed or has another VIP, protocol or port"`
	Live        uint64 `json:"live" doc:"live flows of the service before the change"`
}

// Drain says how a real server is drained: no new flows, and what becomes of those it has when the deadline is over.
type Drain struct {
	Deadline store.Duration `json:"deadline,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$" patternDescription:"a duration such as 30s or 10m" doc:"how long its flows may take to end; none: as long as they like"`
	Then     Then           `json:"then,omitempty" enum:"keep,reschedule,drop" doc:"what becomes of flows that are left then; keep unless given"`
}

// Then is what becomes of the flows that a drain has not got rid of by its deadline.
type Then string

// What can become of them.
const (
	ThenKeep       Then = "keep"
	ThenReschedule Then = "reschedule"
	ThenDrop       Then = "drop"
)

// DrainLive is how far a drain has got.
type DrainLive struct {
	Drain
	Since        time.Time  `json:"since"`
	EndsAt       *time.Time `json:"ends_at,omitempty" doc:"when the deadline is over"`
	Flows        uint64     `json:"flows" doc:"flows left"`
	FlowsAtStart uint64     `json:"flows_at_start" doc:"flows when the drain began, or turnout started"`
	ETASeconds   *float64   `json:"eta_seconds,omitempty" doc:"when the last flow will have ended, at the pace of the last minute; missing when there is none to tell from"`
	Empty        bool       `json:"empty" doc:"no flow is left"`
	Over         bool       `json:"over" doc:"the deadline is over"`
}

// Generation is a desired state that is or was in force.
type Generation struct {
	Generation uint64    `json:"generation"`
	Saved      time.Time `json:"saved" doc:"when its file was written"`
	InForce    bool      `json:"in_force"`
	Services   int       `json:"services" doc:"how many services it has; -1 for a file that cannot be read"`
}

// GenerationList is the answer to GET /v1/generations.
type GenerationList struct {
	Generations []Generation `json:"generations"`
}

// Role says whether this director answers for the VIPs.
type Role string

// The roles.
const (
	RoleActive  Role = "active"
	RoleStandby Role = "standby"
)

// Status is the director in short.
type Status struct {
	Version              string       `json:"version"`
	Generation           uint64       `json:"generation"`
	LastApplySuccessful  bool         `json:"last_apply_successful"`
	Started              time.Time    `json:"started"`
	UptimeSeconds        float64      `json:"uptime_seconds"`
	Role                 Role         `json:"role" enum:"active,standby"`
	MaglevKeyFingerprint string       `json:"maglev_key_fingerprint" doc:"first 8 bytes of SHA-256 over the key, hex"`
	Ready                bool         `json:"ready"`
	NotReady             []string     `json:"not_ready,omitempty" doc:"why not, one sentence each"`
	Ports                []PortBrief  `json:"ports"`
	Lcores               []LcoreBrief `json:"lcores"`
	VIPs                 []VIP        `json:"vips"`
	Conflicts            []Conflict   `json:"conflicts" doc:"who else claims a VIP or a real server's address"`
	Books                Books        `json:"books"`
}

// PortBrief is a port in the status.
type PortBrief struct {
	Name   string `json:"name"`
	LinkUp bool   `json:"link_up"`
}

// LcoreBrief is an lcore in the status.
type LcoreBrief struct {
	Lcore uint    `json:"lcore"`
	Busy  float64 `json:"busy" doc:"share of turns' time spent on packets, 0 to 1, since the last reading"`
	Flows uint64  `json:"flows"`
}

// VIP is what the director says about a VIP on the segment.
type VIP struct {
	Address netip.Addr `json:"address"`
	State   string     `json:"state" enum:"probing,announced,conflict,standby,link_down"`
}

// Holder says what a machine that claims an address is.
type Holder string

// The holders.
const (
	HolderRealServer Holder = "real_server"
	HolderDirector   Holder = "director" // a peer
	HolderStranger   Holder = "stranger"
)

// Conflict is a machine that claims by ARP an address that is not for it: a VIP, or the address of a real server that
// another machine has.
type Conflict struct {
	Address     netip.Addr   `json:"address"`
	VIP         bool         `json:"vip" doc:"whether the address is a VIP, and not a real server's own"`
	MAC         string       `json:"mac"`
	Holder      Holder       `json:"holder" enum:"real_server,director,stranger" doc:"what the machine with this MAC is"`
	RealServers []netip.Addr `json:"real_servers,omitempty" doc:"the real servers that have this MAC"`
	Since       time.Time    `json:"since" doc:"first heard"`
	Heard       time.Time    `json:"heard" doc:"last heard"`
	Text        string       `json:"text" doc:"one sentence"`
	Mend        string       `json:"mend" doc:"the command that mends it, and where to run it"`
}

// Books is the sum rule: rx + injected + generated = tx + tx_dropped + punted + consumed + sum of drops + held.
type Books struct {
	Rx        uint64            `json:"rx"`
	Injected  uint64            `json:"injected"`
	Generated uint64            `json:"generated"`
	Tx        uint64            `json:"tx"`
	TxDropped uint64            `json:"tx_dropped"`
	Punted    uint64            `json:"punted"`
	Consumed  uint64            `json:"consumed"`
	Held      uint64            `json:"held"`
	Drops     map[string]uint64 `json:"drops"`
	Balanced  bool              `json:"balanced" doc:"exact once traffic is quiet"`
}

// ServiceList is the desired state with the live state beside it.
type ServiceList struct {
	Generation uint64    `json:"generation"`
	Services   []Service `json:"services"`
}

// Service is a configured service and what is known of it live.
type Service struct {
	store.Service
	Live ServiceLive `json:"live"`
}

// ServiceLive is the live state of a service. RealServers stand in the order of the configuration.
type ServiceLive struct {
	Packets          uint64           `json:"packets"`
	Bytes            uint64           `json:"bytes"`
	Connections      uint64           `json:"connections"`
	RescheduledFlows uint64           `json:"rescheduled_flows"`
	Quorum           bool             `json:"quorum" doc:"enough weight is usable; if not, the sorry server gets new flows, where there is one"`
	UsableWeight     uint64           `json:"usable_weight"`
	RealServers      []RealServerLive `json:"real_servers"`
	SorryServer      *RealServerLive  `json:"sorry_server,omitempty"`
}

// RealServerLive is the live state of a real server in one service.
type RealServerLive struct {
	Address       netip.Addr `json:"address"`
	Weight        uint16     `json:"weight"`
	State         string     `json:"state" enum:"up,draining,overloaded,ejected,down,no_mac,standby" doc:"standby: a sorry server that is not needed"`
	Share         float64    `json:"share" doc:"how much of its weight counts, 0 to 1: less than 1 during slow start"`
	EjectedUntil  time.Time  `json:"ejected_until,omitzero" doc:"when it is tried again"`
	Drain         *DrainLive `json:"drain,omitempty"`
	Health        Health     `json:"health"`
	Diagnosis     *Diagnosis `json:"diagnosis,omitempty" doc:"of the way that clients' packets take to it; missing where it is not probed, and before the first probe"`
	MAC           string     `json:"mac,omitempty"`
	ActiveFlows   uint64     `json:"active_flows" doc:"ESTABLISHED, as IPVS's ActiveConn"`
	InactiveFlows uint64     `json:"inactive_flows"`
	Packets       uint64     `json:"packets"`
	Bytes         uint64     `json:"bytes"`
	Connections   uint64     `json:"connections"`
	Handshakes    Handshakes `json:"handshakes"`
}

// Handshakes is what clients' packets tell of TCP connections to a real server, since turnout started. What has begun and
// is neither answered nor unanswered is open.
type Handshakes struct {
	Syns            uint64   `json:"syns" doc:"connections begun"`
	Retransmissions uint64   `json:"retransmissions" doc:"SYNs said again"`
	Answered        uint64   `json:"answered" doc:"the client's ACK was seen"`
	Unanswered      uint64   `json:"unanswered" doc:"ended without the client's ACK"`
	UnansweredShare float64  `json:"unanswered_share" doc:"of those that were answered or ended so, 0 to 1"`
	Resets          uint64   `json:"resets" doc:"connections that the client has reset"`
	Fins            uint64   `json:"fins" doc:"connections that the client has closed"`
	MedianMS        *float64 `json:"median_ms,omitempty" doc:"time from SYN to first ACK; missing while none was answered"`
	P99MS           *float64 `json:"p99_ms,omitempty" doc:"99 of 100 took less"`

	Counted lcore.Handshakes `json:"-"` // the same as the lcores count it
}

// Health is what the checks say of a real server.
type Health struct {
	Up        bool      `json:"up"`
	Since     time.Time `json:"since,omitzero" doc:"last change of up"`
	LastError string    `json:"last_error,omitempty"`
	LatencyMS float64   `json:"latency_ms" doc:"duration of the last probe"`
	Passed    uint64    `json:"passed" doc:"probes passed since start"`
	Failed    uint64    `json:"failed" doc:"probes failed since start"`
}

// Diagnosis is what is wrong with the way from the director to a real server and back, and what mends it.
type Diagnosis struct {
	Diagnosis probe.Diagnosis `json:"diagnosis" enum:"ok,rip_down,no_neighbour,wrong_mac,vip_not_on_real_server,service_not_on_vip,reply_path_blocked"`
	Why       string          `json:"why,omitempty" doc:"one line"`
	Mend      []string        `json:"mend,omitempty" doc:"commands that show or mend it"`
}

// RealServer is one real server of a service, as configured, and what is known of it live.
type RealServer struct {
	store.RealServer
	Live RealServerLive `json:"live"`
}

// Port is a DPDK port.
type Port struct {
	Name            string `json:"name"`
	Device          string `json:"device"`
	Driver          string `json:"driver"`
	MAC             string `json:"mac"`
	Address         string `json:"address" doc:"the DIP with its prefix length"`
	KernelInterface string `json:"kernel_interface"`
	MTU             int    `json:"mtu"`
	LinkUp          bool   `json:"link_up"`
	SpeedMbps       uint32 `json:"speed_mbps" doc:"0: unknown"`
	RxQueues        int    `json:"rx_queues"`
	RxPackets       uint64 `json:"rx_packets"`
	RxBytes         uint64 `json:"rx_bytes"`
	RxMissed        uint64 `json:"rx_missed" doc:"dropped by the device: rx ring full"`
	RxNoMbuf        uint64 `json:"rx_no_mbuf" doc:"dropped by the device: no mbuf"`
	TxPackets       uint64 `json:"tx_packets"`
	TxBytes         uint64 `json:"tx_bytes"`
	TxDropped       uint64 `json:"tx_dropped" doc:"refused by a full tx ring"`
}

// Lcore is a polling lcore.
type Lcore struct {
	Lcore           uint    `json:"lcore"`
	Socket          uint    `json:"socket"`
	Polls           uint64  `json:"polls"`
	EmptyPolls      uint64  `json:"empty_polls"`
	RxPackets       uint64  `json:"rx_packets"`
	Busy            float64 `json:"busy"`
	FlowEntries     uint64  `json:"flow_entries"`
	FlowCapacity    uint64  `json:"flow_capacity"`
	FlowInserts     uint64  `json:"flow_inserts"`
	FlowEvictions   uint64  `json:"flow_evictions"`
	FlowExpirations uint64  `json:"flow_expirations"`
	FlowFull        uint64  `json:"flow_full"`
	FlowMemory      string  `json:"flow_memory" enum:"hugetlb,thp,pages" doc:"reserved huge pages, transparent ones, or pages of 4 KiB"`
	Idle            string  `json:"idle" enum:"busy,adaptive"`
}

// PortList is the answer to GET /v1/ports.
type PortList struct {
	Ports []Port `json:"ports"`
}

// LcoreList is the answer to GET /v1/lcores.
type LcoreList struct {
	Lcores []Lcore `json:"lcores"`
}

// NeighbourList is the answer to GET /v1/neighbours.
type NeighbourList struct {
	Neighbours []Neighbour `json:"neighbours"`
	Conflicts  []Conflict  `json:"conflicts" doc:"who else claims a VIP or a real server's address"`
}

// RoleSetting is the role, as GET /v1/role answers and PUT /v1/role takes it.
type RoleSetting struct {
	Role Role `json:"role" enum:"active,standby"`
}

// DropCounts is the answer to GET /v1/drops: dropped frames by reason.
type DropCounts struct {
	Drops map[string]uint64 `json:"drops"`
}

// Neighbour is what is known of a real server's MAC.
type Neighbour struct {
	Address netip.Addr `json:"address"`
	MAC     string     `json:"mac,omitempty"`
	State   string     `json:"state" enum:"static,none,incomplete,reachable,stale,delay,probe,failed,noarp,permanent" doc:"static, or the kernel's word"`
	Source  string     `json:"source" enum:"kernel,static"`
}

// FlowQuery filters flows; zero fields match all.
type FlowQuery struct {
	Service    string
	RealServer netip.Addr
	Client     netip.Addr
	Limit      int
}

// Flow is one tracked flow.
type Flow struct {
	Lcore         uint           `json:"lcore"`
	Service       string         `json:"service"`
	Protocol      store.Protocol `json:"protocol"`
	Client        netip.AddrPort `json:"client"`
	VIP           netip.AddrPort `json:"vip"`
	RealServer    netip.Addr     `json:"real_server"`
	State         string         `json:"state" enum:"none,syn_received,established,fin_wait,time_wait,close,udp"`
	AgeSeconds    float64        `json:"age_seconds"`
	ExpiresSecond float64        `json:"expires_seconds"`
}

// FlowPage is an answer to a FlowQuery.
type FlowPage struct {
	Flows     []Flow `json:"flows"`
	Truncated bool   `json:"truncated" doc:"more flows match than the limit"`
}

package metrics

import "turnout/mgmt/events"

// Source is what the collector needs of the director.
type Source interface {
	// Snapshot reads all counters once. The collector keeps nothing of it and may be called at any time, also twice
	// at once.
	Snapshot() *Reading
}

// Reading is every number that is exposed, read at about the same time. Counters never go backwards.
type Reading struct {
	Version             string
	Generation          uint64
	LastApplySuccessful bool
	Active              bool // the role: active, else standby
	Services            []Service
	VIPConflicts        []Conflict // claims to VIPs by other machines
	ServerConflicts     []Conflict // claims to real servers' addresses by other machines
	Ports               []Port
	Lcores              []Lcore
	Drops               map[string]uint64      // frames by reason; every reason, also those at 0
	Punted              map[string]uint64      // frames by kind; every kind
	Events              map[events.Kind]uint64 // what happened, by kind; every kind
	Injected            uint64                 // frames sent by the director's kernel
	Generated           uint64                 // frames made by turnout itself: ARP, echo replies
	Consumed            uint64                 // frames answered by turnout itself or otherwise at their end
	Held                uint64                 // frames kept for later, now
	Persistence         Persistence
}

// Persistence is what the lcores remember of the clients of services with persistence.
type Persistence struct {
	Entries  uint64 // templates now
	Capacity uint64 // templates that there is surely room for
	Full     uint64 // new flows for whose clients there was no room
}

// Conflict is a machine that claims an address that is not for it.
type Conflict struct {
	Address    string
	MAC        string
	RealServer string // that has the MAC; empty: none
}

// Service is a virtual service's counters.
type Service struct {
	Name             string
	Packets          uint64
	Bytes            uint64
	Connections      uint64
	RescheduledFlows uint64
	Quorum           bool // enough weight is up
	RealServers      []RealServer
}

// RealServer is a real server's counters in one service.
type RealServer struct {
	Address       string
	Up            bool
	Weight        uint16
	Share         float64 // of its weight that counts now, 0 to 1
	Draining      bool
	Overloaded    bool
	Ejected       bool
	ActiveFlows   uint64
	InactiveFlows uint64
	Packets       uint64
	Bytes         uint64
	Connections   uint64
	ChecksPassed  uint64
	ChecksFailed  uint64
	CheckDuration Histogram // seconds
	Diagnosis     string    // of the way to it; empty: none

	Syns               uint64
	SynRetransmissions uint64
	UnansweredSyns     uint64
	Resets             uint64
	Fins               uint64
	HandshakeTime      Histogram // seconds
}

// Port is a DPDK port's counters.
type Port struct {
	Name      string
	LinkUp    bool
	RxPackets uint64
	RxBytes   uint64
	RxMissed  uint64
	RxNoMbuf  uint64
	TxPackets uint64
	TxBytes   uint64
	TxDropped uint64
}

// Lcore is a polling lcore's counters, those of its flow table among them.
type Lcore struct {
	Lcore      uint
	Polls      uint64  // all of them
	EmptyPolls uint64  // those that brought no frame
	Busy       float64 // share of time spent on frames, 0 to 1
	BurstSize  Histogram
	PollGap    Histogram // seconds from one poll to the next
	Flows      FlowTable
}

// FlowTable is a flow table's counters.
type FlowTable struct {
	Entries     uint64
	Capacity    uint64
	Inserts     uint64
	Evictions   uint64
	Expirations uint64
	Full        uint64 // flows that found no room
}

// Histogram is a distribution of observations.
type Histogram struct {
	Bounds     []float64 // upper bounds of the buckets, ascending, without +Inf
	Cumulative []uint64  // observations at or under each bound: as long as Bounds
	Count      uint64    // all observations
	Sum        float64   // of all observations
}

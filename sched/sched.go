package sched

import (
	"errors"
	"strconv"
	"strings"
)

// schedulers is the list of all algorithms, in the order in which users are told of them.
var schedulers = [...]*Scheduler{Maglev, RR, WRR, LC, WLC, SED, NQ, SH, DH, FO, OVF, TWOS}

// None is the slot that stands for no real server: none can take the flow.
const None uint16 = 0xffff

// maxSequence bounds a sequence table: 2 MB, shared by all lcores. A thousand servers of weights up to 1000 fit exactly.
const maxSequence = 1 << 20

// FullShare is the share of a server or a table that takes all that is its own.
const FullShare = 1 << 16

// Server is one real server of a virtual service as a scheduler sees it. The first three fields are its
// configuration, which makes the Plan; the others are how it is now, which makes the Table.
type Server struct {
	ID     string // stable identity, the address as text: orders the servers and seeds Maglev's permutation, so it must read the same on every director
	Slot   uint16 // the server's slot within its service: what Pick returns; anything but None
	Weight uint32 // share of new flows; for a server quiesced to weight 0 its last weight above 0, so that the others' positions stay still; 0 counts as 1

	Usable   bool   // may take new flows: weight above 0, up, MAC known, not draining
	Share    uint32 // how much of its positions or turns it may take yet, in 1/FullShare: less than all in slow start, 0 is none
	Active   uint32 // its established flows, over all lcores
	Inactive uint32 // its other flows, over all lcores
}

// Options are a service's settings for its scheduler.
type Options struct {
	TableSize int // Maglev's M; 0 means DefaultTableSize; other schedulers ignore it
}

// HashKey names what of a packet a scheduler's tables are read by.
type HashKey uint8

// The parts of a packet to hash.
const (
	HashConfigured  HashKey = iota // as the service is configured
	HashSource                     // the client address alone
	HashDestination                // the VIP alone
)

// Scheduler is an algorithm: it turns real servers into the positions of a table.
type Scheduler struct {
	name       string
	bySequence bool // tables are read one position after another, not by the packet's hash
	hash       HashKey

	// check refuses what build cannot work with; nil: anything goes.
	check func(servers []Server, o Options) error

	// build fills a table with slots, from the servers' configuration alone. The servers are sorted by ID, of weight
	// 1 or more, and maybe none at all.
	build func(servers []Server, o Options) []uint16

	// foresee returns the slots of the next flows, by the flows that the servers, at least one, have now;
	// nil: flows are not counted.
	foresee func(servers []Server, flows int) []uint16
}

// String returns the scheduler's name in the configuration.
func (s *Scheduler) String() string { return s.name }

// Hash tells what of a packet the hash is made of by which its tables are read.
func (s *Scheduler) Hash() HashKey { return s.hash }

// Counts reports whether its tables depend on how many flows the servers have, so that a new one is needed every
// 100 ms while flows come and go.
func (s *Scheduler) Counts() bool { return s.foresee != nil }

// longest returns how many positions a sequence table may have: fewer where one is made all the time.
func (s *Scheduler) longest() int {
	if s.Counts() {
		return maxForesight
	}
	return maxSequence
}

// Names returns the names of all schedulers, the default one first.
func Names() []string {
	names := make([]string, len(schedulers))
	for i, s := range schedulers {
		names[i] = s.name
	}
	return names
}

// Lookup returns the scheduler of that name. The error for an unknown one lists those there are.
func Lookup(name string) (*Scheduler, error) {
	for _, s := range schedulers {
		if s.name == name {
			return s, nil
		}
	}
	return nil, errors.New("unknown scheduler " + strconv.Quote(name) + ": use one of " + strings.Join(Names(), ", "))
}

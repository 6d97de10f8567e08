package sched

import (
	"errors"
	"strconv"
	"strings"
)

// schedulers is the list of all algorithms, in the order in which users are told of them.
var schedulers = [...]*Scheduler{Maglev, RR, WRR}

// None is the slot that stands for no real server: none can take the flow.
const None uint16 = 0xffff

// Server is one real server of a virtual service as a scheduler sees it.
type Server struct {
	ID     string // stable identity, the address as text: orders the servers and seeds Maglev's permutation, so it must read the same on every director
	Slot   uint16 // the server's slot within its service: what Pick returns; anything but None
	Weight uint32 // share of new flows; for a server quiesced to weight 0 its last weight above 0, so that the others' positions stay still; 0 counts as 1
	Usable bool   // may take new flows: weight above 0, up, MAC known, not draining
}

// Options are a service's settings for its scheduler.
type Options struct {
	TableSize int // Maglev's M; 0 means DefaultTableSize; other schedulers ignore it
}

// Scheduler is an algorithm: it turns real servers into the positions of a table.
type Scheduler struct {
	name       string
	bySequence bool // tables are read one position after another, not by the packet's hash

	// check refuses what build cannot work with; nil: anything goes.
	check func(servers []Server, o Options) error

	// build fills a table with slots. The servers are sorted by ID, of weight 1 or more, and maybe none at all.
	build func(servers []Server, o Options) []uint16

	// around fills the table of a plan whose servers are not all usable, though at least one is;
	// nil: it is built from the usable servers alone.
	around func(p *Plan, usable *slotSet) []uint16
}

// String returns the scheduler's name in the configuration.
func (s *Scheduler) String() string { return s.name }

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

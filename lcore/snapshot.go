package lcore

import (
	"sync/atomic"
	"unsafe"

	"turnout/flowtable"
	"turnout/lcore/frame"
	"turnout/sched"
)

// Spec is the blueprint of a Snapshot: all that the lcores need to know of the state in force.
type Spec struct {
	Epoch     uint64 // counts the snapshots published
	Standby   bool   // VIP traffic is dropped
	PortMAC   frame.MAC
	PeerMACs  []frame.MAC // other directors on the segment
	DIP       uint32
	MaglevKey [2]uint64 // keys the hash that picks real servers; shared by directors
	Services  []ServiceSpec
}

// ServiceSpec is a virtual service.
type ServiceSpec struct {
	ID          uint16 // small numbers: the snapshot has room for every one below the largest
	VIP         uint32
	Protocol    uint8
	Port        uint16 // 0: every port without a service of its own
	Hash        HashKey
	Withdrawn   bool // no longer configured; known only until its last flow has gone
	Unreachable bool // what no real server can take is answered by ICMP port unreachable
	OnePacket   bool // no flow is remembered: the scheduler picks for each packet anew
	Strict      bool // TCP: a flow begins with a SYN, and other packets of flows that are not known are dropped
	Timeouts    Timeouts

	// A new flow goes where the client's flows before went, until Persistence ticks after the last of them; 0: it need
	// not. The first PersistencePrefix bits of an address, at most 32, make a client.
	Persistence       uint32
	PersistencePrefix uint8

	// Table holds the scheduler's table in force: management may put another one of the same real servers there, with
	// no new snapshot. Without a holder or a table no real server can take a flow.
	Table *atomic.Pointer[sched.Table]
	Reals []RealSpec // by slot
}

// HashKey says what of a packet is hashed for the scheduler.
type HashKey uint8

// What can be hashed.
const (
	HashTuple       HashKey = iota // client and VIP, and their L4 ports
	HashSource                     // client and VIP
	HashDestination                // the VIP
)

// Timeouts say by a flow's state how many ticks of the flow table's clock it may be silent.
type Timeouts [8]uint32

// RealSpec is a real server of a service, or an empty slot.
type RealSpec struct {
	MAC     frame.MAC
	Counter uint32 // index of its RealCounters
	State   RealState
}

// RealState says which flows a real server may have.
type RealState uint8

// The states of a real server. The zero value gets nothing.
const (
	RealGone     RealState = iota // down, removed or without a MAC: its flows are scheduled again
	RealDown                      // down: its flows stay, and their packets are dropped
	RealDraining                  // keeps its flows, gets no new ones
	RealUp                        // gets new flows
)

// Snapshot is a compiled Spec. It is immutable; lcores reach it through one atomic pointer.
type Snapshot struct {
	epoch     uint64
	standby   bool
	portMAC   frame.MAC
	portWord  uint64 // the same
	dip       uint32
	maglevKey [2]uint64

	services []service // by ID
	reals    []real    // a service's stand together, by slot
	byTuple  lookup    // VIP, protocol and port -> service ID
	vips     lookup    // VIP -> its number
	senders  lookup    // MAC, and VIP number -> nobody who may send to that VIP
	suspects filter    // the MACs in senders, and our own: most frames need not be looked at for them
}

// service is what the lcores know of a virtual service: one cache line.
type service struct {
	holder      *atomic.Pointer[sched.Table]
	first       uint32 // its real servers stand at reals[first:first+count]
	count       uint32
	vip         uint32
	vipIndex    uint16
	portMask    uint16 // all ones where the L4 ports are hashed, else 0
	timeouts    Timeouts
	persistence uint32 // ticks, or 0
	prefix      uint8  // bits of the client address that make a client, where there is persistence
	hashed      uint8  // bits of the client address that are hashed
	manners     manners
	_           [1]byte
}

// manners are a service's yes and no.
type manners uint8

const (
	isUDP manners = 1 << iota
	isUnreachable
	isOnePacket
	isStrict
)

func (m manners) has(one manners) bool { return m&one != 0 }

func mannersOf(spec *ServiceSpec) (m manners) {
	for one, yes := range map[manners]bool{
		isUDP: spec.Protocol == frame.ProtocolUDP, isUnreachable: spec.Unreachable, isOnePacket: spec.OnePacket, isStrict: spec.Strict,
	} {
		if yes {
			m |= one
		}
	}
	return m
}

var _ [64]byte = [unsafe.Sizeof(service{})]byte{}

// real is what the lcores know of a real server of a service.
type real struct {
	word    uint64 // its MAC, as frame.MAC.Word packs it
	macs    macs
	counter uint32
	state   RealState
}

// macs are the first twelve bytes of a frame to a real server: its MAC, then the port's own.
type macs [12]byte

// Compile makes a Snapshot of a Spec whose service IDs are distinct.
func Compile(spec *Spec) *Snapshot {
	s := &Snapshot{
		epoch: spec.Epoch, standby: spec.Standby, portMAC: spec.PortMAC, portWord: spec.PortMAC.Word(), dip: spec.DIP, maglevKey: spec.MaglevKey,
	}
	s.compileServices(spec)
	s.compileTuples(spec)
	s.compileSenders(spec)
	return s
}

func (s *Snapshot) compileServices(spec *Spec) {
	services, reals := 0, 0
	for i := range spec.Services {
		services = max(services, int(spec.Services[i].ID)+1)
		reals += len(spec.Services[i].Reals)
	}
	s.services = make([]service, services)
	s.reals = make([]real, 0, reals)
	for i := range spec.Services {
		s.addService(&spec.Services[i])
	}
}

// What stands for a table and its holder where a service has none: no server can take a flow.
var (
	noTable  = new(sched.Table)
	noHolder = new(atomic.Pointer[sched.Table])
)

// table is the scheduler's table in force.
func (svc *service) table() *sched.Table {
	if t := svc.holder.Load(); t != nil {
		return t
	}
	return noTable
}

// addressBits is the length of a client address.
const addressBits = 32

// hashOf tells how many bits of the client address are hashed, and the mask of the L4 ports. Where there is persistence,
// what is the same for all of a client's flows is hashed: so directors that share no templates agree all the same.
func hashOf(spec *ServiceSpec) (bits uint8, ports uint16) {
	switch {
	case spec.Hash == HashDestination:
		return 0, 0
	case spec.Persistence != 0:
		return min(spec.PersistencePrefix, addressBits), 0
	case spec.Hash == HashSource:
		return addressBits, 0
	}
	return addressBits, 1<<16 - 1
}

func (s *Snapshot) addService(spec *ServiceSpec) {
	svc := &s.services[spec.ID]
	*svc = service{
		holder: spec.Table, first: uint32(len(s.reals)), count: uint32(len(spec.Reals)), vip: spec.VIP,
		timeouts: spec.Timeouts, persistence: spec.Persistence, prefix: min(spec.PersistencePrefix, addressBits),
		manners: mannersOf(spec),
	}
	svc.hashed, svc.portMask = hashOf(spec)
	if svc.holder == nil {
		svc.holder = noHolder
	}
	for i := range spec.Reals {
		s.reals = append(s.reals, s.compileReal(&spec.Reals[i]))
	}
}

func (s *Snapshot) compileReal(spec *RealSpec) real {
	r := real{word: spec.MAC.Word(), counter: spec.Counter, state: spec.State}
	copy(r.macs[:6], spec.MAC[:])
	copy(r.macs[6:], s.portMAC[:])
	return r
}

// compileTuples fills the look-ups by which a packet finds its service. A standby knows the VIPs but no service.
func (s *Snapshot) compileTuples(spec *Spec) {
	s.byTuple, s.vips = newLookup(len(spec.Services)), newLookup(len(spec.Services))
	vips := uint32(0)
	for i := range spec.Services {
		svc := &spec.Services[i]
		if svc.Withdrawn {
			continue
		}
		index, known := s.vips.find(uint64(svc.VIP))
		if !known {
			index, vips = vips, vips+1
			s.vips.put(uint64(svc.VIP), index)
		}
		s.services[svc.ID].vipIndex = uint16(index)
		if !spec.Standby {
			s.byTuple.put(tupleKey(svc.VIP, svc.Protocol, svc.Port), uint32(svc.ID))
		}
	}
}

// compileSenders lists who may not send to which VIP, lest frames go round in circles: other directors to none of them,
// real servers not to those of their own services. What they send elsewhere is welcome.
func (s *Snapshot) compileSenders(spec *Spec) {
	s.suspects = newFilter(1 + len(spec.PeerMACs) + len(s.reals))
	s.suspects.add(s.portWord) // what we sent ourselves goes nowhere
	s.senders = newLookup(len(spec.PeerMACs)*len(spec.Services) + 2*len(s.reals))
	for i := range spec.Services {
		if spec.Services[i].Withdrawn {
			continue
		}
		vipIndex := s.services[spec.Services[i].ID].vipIndex
		for _, r := range spec.Services[i].Reals {
			s.addSender(r.MAC, vipIndex)
			s.addSender(r.MAC, anyVIP)
		}
		for _, peer := range spec.PeerMACs {
			s.addSender(peer, vipIndex)
		}
	}
}

func (s *Snapshot) addSender(mac frame.MAC, vipIndex uint16) {
	if mac == (frame.MAC{}) {
		return
	}
	s.senders.put(senderKey(mac, vipIndex), 0)
	s.suspects.add(mac.Word())
}

// anyVIP is the VIP number under which the MACs of all real servers are listed.
const anyVIP = 1<<16 - 1

// tupleKey packs a VIP, which is not 0, a protocol and a port.
func tupleKey(vip uint32, protocol uint8, port uint16) uint64 {
	return uint64(vip)<<32 | uint64(protocol)<<16 | uint64(port)
}

// senderKey packs a MAC, which is not 0, and a VIP number.
func senderKey(mac frame.MAC, vipIndex uint16) uint64 { return mac.Word()<<16 | uint64(vipIndex) }

// find returns the service of a packet to address and port.
func (s *Snapshot) find(address uint32, protocol uint8, port uint16) (id uint32, ok bool) {
	if id, ok = s.byTuple.find(tupleKey(address, protocol, port)); ok {
		return id, ok
	}
	return s.byTuple.find(tupleKey(address, protocol, 0))
}

// isVIP says whether address is the VIP of some service. No VIP is 0.0.0.0, which a lookup cannot be asked for.
func (s *Snapshot) isVIP(address uint32) bool {
	_, ok := s.vips.find(uint64(address))
	return ok && address != 0
}

// isReal says whether a MAC is that of a real server of some service.
func (s *Snapshot) isReal(mac frame.MAC) bool { return s.forbidden(mac, anyVIP) }

// forbidden says whether sender may not send to the VIP of that number.
func (s *Snapshot) forbidden(sender frame.MAC, vipIndex uint16) bool {
	if !s.suspects.has(sender.Word()) {
		return false
	}
	_, ok := s.senders.find(senderKey(sender, vipIndex))
	return ok
}

// counterOf is where a flow is counted. A flow's service and slot stay in every snapshot until the flow has gone.
func (s *Snapshot) counterOf(f *flowtable.Flow) (counter uint32, ok bool) {
	if int(f.Service) >= len(s.services) {
		return 0, false
	}
	svc := &s.services[f.Service]
	if uint32(f.Slot) >= svc.count {
		return 0, false
	}
	return s.reals[svc.first+uint32(f.Slot)].counter, true
}

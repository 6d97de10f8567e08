package director

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/mgmt/health"
	"turnout/mgmt/store"
	"turnout/sched"
)

// compiled is what was made of a service; it is made anew only when something in the service changed.
type compiled struct {
	service *store.Service
	id      *identity
	spec    lcore.ServiceSpec
	view    *serviceView
	tabling
}

// closeTimeout is how long a closed flow is remembered, as in IPVS.
const closeTimeout = 10 * time.Second

// compileService makes a service's part of the snapshot and of the view.
func (d *Director) compileService(svc *store.Service, id *identity, old *compiled, now time.Time) *compiled {
	c := &compiled{service: svc, id: id, view: &serviceView{Service: *svc}}
	c.spec = lcore.ServiceSpec{
		ID: id.id, VIP: ipv4(svc.VIP), Protocol: protocolNumber(svc.Protocol), Port: svc.Port,
		Hash: hashKey(svc), Timeouts: ticks(&svc.Timeouts), Persistence: toTicks(svc.Persistence), PersistencePrefix: svc.PersistencePrefix,
		OnePacket: svc.OnePacket, Strict: svc.StrictTCP, Unreachable: svc.NoRealServer == store.RefuseUnreachable, Table: new(atomic.Pointer[sched.Table]), Reals: id.reals(),
	}
	for _, rs := range svc.RealServers {
		c.view.reals = append(c.view.reals, c.addReal(rs, d.live(svc, &rs, now), now))
	}
	d.judgeQuorum(c)
	c.addSorry(d, now)
	if err := c.plans(old, now); err != nil { // what Validate has passed has a table
		d.config.Log.Error("a service has no table: no real server gets new flows", zap.String("service", svc.Name), zap.Error(err))
	}
	c.table(now, 0)
	return c
}

// addReal gives a real server its place in the snapshot.
func (c *compiled) addReal(rs store.RealServer, live liveness, now time.Time) realView {
	n := c.id.slotOf[rs.Address]
	s := &c.id.slots[n]
	if live.real == lcore.RealUp && s.live.real != lcore.RealUp {
		s.upSince = now
	}
	s.live, s.overloaded = live, s.overloaded && rs.UpperThreshold > 0
	c.spec.Reals[n].MAC, c.spec.Reals[n].State = live.mac, live.real
	return realView{RealServer: rs, live: live, upSince: s.upSince, ejectedUntil: s.outlier.until, overloaded: s.overloaded, counter: s.counter, base: s.base}
}

func hashKey(svc *store.Service) lcore.HashKey {
	scheduler, err := sched.Lookup(svc.Scheduler)
	if err != nil {
		return lcore.HashTuple
	}
	switch scheduler.Hash() {
	case sched.HashSource:
		return lcore.HashSource
	case sched.HashDestination:
		return lcore.HashDestination
	}
	if svc.Maglev.Hash == store.HashSource {
		return lcore.HashSource
	}
	return lcore.HashTuple
}

// reals lists a service's slots as the lcores know them, before it is known which of the configured are alive. One that
// was removed of late, and was alive, keeps its flows.
func (id *identity) reals() []lcore.RealSpec {
	reals := make([]lcore.RealSpec, len(id.slots))
	for n := range id.slots {
		s := &id.slots[n]
		reals[n].Counter = s.counter
		if !s.until.IsZero() && s.live.real >= lcore.RealDraining {
			reals[n].MAC, reals[n].State = s.live.mac, lcore.RealDraining
		}
	}
	return reals
}

// withdrawn is the part of the snapshot for a service that is no longer configured.
func (id *identity) withdrawnSpec() lcore.ServiceSpec {
	return lcore.ServiceSpec{ID: id.id, VIP: ipv4(id.key.vip), Withdrawn: true, Reals: id.reals()}
}

// liveness is what decides which flows a real server has.
type liveness struct {
	real   lcore.RealState
	state  string // as the API says it
	mac    frame.MAC
	static bool
}

func (d *Director) live(svc *store.Service, rs *store.RealServer, now time.Time) liveness {
	l := liveness{}
	l.mac, l.static = d.macOf(rs)
	drain := d.drains.get(realKey{svc.Name, rs.Address})
	switch up := d.config.Up(health.Key{Service: svc.Name, RealServer: rs.Address}); {
	case !up:
		l.state, l.real = "down", whenDown(svc.OnDown, l.mac)
	case l.mac == frame.MAC{}:
		l.state, l.real = "no_mac", whenDown(svc.OnDown, l.mac)
	case drain != nil:
		l.state, l.real = "draining", drain.real(now)
	case rs.Weight == 0:
		l.state, l.real = "draining", lcore.RealDraining
	case d.ejected(svc, rs, now):
		l.state, l.real = ejectedState, lcore.RealDraining
	default:
		l.state, l.real = "up", lcore.RealUp
	}
	return l
}

// ejectedState is what the API says of an outlier.
const ejectedState = "ejected"

// whenDown says what becomes of the flows of a real server that is down. Nothing can be sent to one without a MAC.
func whenDown(o store.OnDown, mac frame.MAC) lcore.RealState {
	switch {
	case o == store.OnDownDrop, o == store.OnDownKeep && mac == frame.MAC{}:
		return lcore.RealDown
	case o == store.OnDownKeep:
		return lcore.RealDraining
	}
	return lcore.RealGone
}

// macOf is the configured MAC of a real server, else the one that the kernel knows, else zero.
func (d *Director) macOf(rs *store.RealServer) (mac frame.MAC, static bool) {
	if rs.MAC != "" {
		mac, err := frame.ParseMAC(rs.MAC)
		return mac, err == nil
	}
	mac, _ = d.config.MAC(rs.Address)
	return mac, false
}

// spec joins the parts to a snapshot's blueprint.
func (d *Director) spec() *lcore.Spec {
	spec := &lcore.Spec{
		Epoch: d.epoch, Standby: d.standby, PortMAC: d.config.PortMAC, PeerMACs: d.config.PeerMACs,
		DIP: ipv4(d.config.DIP.Addr()), MaglevKey: maglevKey(d.config.MaglevKey),
		Services: make([]lcore.ServiceSpec, 0, len(d.registry.services)),
	}
	for key, id := range d.registry.services {
		if id.withdrawn {
			spec.Services = append(spec.Services, id.withdrawnSpec())
		} else {
			spec.Services = append(spec.Services, d.compiled[key].spec)
		}
	}
	return spec
}

func ticks(t *store.Timeouts) lcore.Timeouts {
	return lcore.Timeouts{
		flowtable.None:        toTicks(t.SynReceived),
		flowtable.SynReceived: toTicks(t.SynReceived),
		flowtable.SynSettled:  toTicks(t.SynReceived),
		flowtable.Established: toTicks(t.Established),
		flowtable.FinWait:     toTicks(t.FinWait),
		flowtable.TimeWait:    toTicks(t.FinWait),
		flowtable.Close:       toTicks(store.Duration(closeTimeout)),
		flowtable.UDP:         toTicks(t.UDP),
	}
}

func toTicks(d store.Duration) uint32 {
	return uint32(time.Duration(d) * flowtable.TicksPerSecond / time.Second)
}

func protocolNumber(p store.Protocol) uint8 {
	if p == store.UDP {
		return frame.ProtocolUDP
	}
	return frame.ProtocolTCP
}

// ipv4 is an address as the data plane writes it: the big-endian value of its bytes.
func ipv4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func maglevKey(key [16]byte) [2]uint64 {
	return [2]uint64{binary.BigEndian.Uint64(key[:8]), binary.BigEndian.Uint64(key[8:])}
}

package director

import (
	"encoding/binary"
	"net/netip"
	"slices"
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
	spec    lcore.ServiceSpec
	plan    *sched.Plan
	servers []sched.Server // that the table was made for
	view    *serviceView
}

// closeTimeout is how long a closed flow is remembered, as in IPVS.
const closeTimeout = 10 * time.Second

// compileService makes a service's part of the snapshot and of the view.
func (d *Director) compileService(svc *store.Service, id *identity, old *compiled) *compiled {
	c := &compiled{view: &serviceView{Service: *svc}}
	c.spec = lcore.ServiceSpec{
		ID: id.id, VIP: ipv4(svc.VIP), Protocol: protocolNumber(svc.Protocol), Port: svc.Port,
		Hash: hashKeys[svc.Maglev.Hash], Timeouts: ticks(&svc.Timeouts), Reals: id.reals(),
	}
	var servers []sched.Server
	for _, rs := range svc.RealServers {
		n := id.slotOf[rs.Address]
		live := d.live(svc.Name, &rs)
		id.slots[n].live = live
		c.spec.Reals[n].MAC, c.spec.Reals[n].State = live.mac, live.real
		servers = append(servers, sched.Server{
			ID: rs.Address.String(), Slot: n, Weight: uint32(id.slots[n].weight), Usable: live.real == lcore.RealUp, Share: sched.FullShare,
		})
		c.view.reals = append(c.view.reals, realView{RealServer: rs, live: live, counter: id.slots[n].counter, base: id.slots[n].base})
	}
	if err := c.schedule(svc, servers, old); err != nil { // what Validate has passed has a table
		d.config.Log.Error("a service has no table: no real server gets new flows", zap.String("service", svc.Name), zap.Error(err))
	}
	return c
}

// schedule has the service's table made, or takes over what is still good: the plan while the servers and their weights
// stay, the table while the same of them are usable.
func (c *compiled) schedule(svc *store.Service, servers []sched.Server, old *compiled) (err error) {
	scheduler, err := sched.Lookup(svc.Scheduler)
	if err != nil {
		return err
	}
	c.servers = servers
	options := sched.Options{TableSize: svc.Maglev.TableSize}
	if old != nil && old.plan != nil && old.plan.Fits(scheduler, servers, options) {
		c.plan = old.plan
		if slices.Equal(old.servers, servers) {
			c.spec.Table = old.spec.Table
			return nil
		}
	} else if c.plan, err = scheduler.Plan(servers, options); err != nil {
		return err
	}
	c.spec.Table = new(atomic.Pointer[sched.Table])
	c.spec.Table.Store(c.plan.Table(servers, 0))
	return nil
}

var hashKeys = map[store.HashKey]lcore.HashKey{store.HashFiveTuple: lcore.HashTuple, store.HashSource: lcore.HashSource}

// reals lists a service's slots as the lcores know them, before it is known which of the configured are alive. One that
// was removed of late, and was alive, keeps its flows.
func (id *identity) reals() []lcore.RealSpec {
	reals := make([]lcore.RealSpec, len(id.slots))
	for n := range id.slots {
		s := &id.slots[n]
		reals[n].Counter = s.counter
		if !s.until.IsZero() && s.live.real != lcore.RealGone {
			reals[n].MAC, reals[n].State = s.live.mac, lcore.RealDraining
		}
	}
	return reals
}

// withdrawn is the part of the snapshot for a service that is no longer configured.
func (id *identity) withdrawnSpec() lcore.ServiceSpec {
	return lcore.ServiceSpec{ID: id.id, VIP: ipv4(id.key.vip), Withdrawn: true, Reals: id.reals()}
}

// liveness is what decides which flows a real server gets.
type liveness struct {
	real   lcore.RealState
	state  string // as the API says it
	mac    frame.MAC
	static bool
}

func (d *Director) live(service string, rs *store.RealServer) liveness {
	l := liveness{}
	l.mac, l.static = d.macOf(rs)
	switch up := d.config.Up(health.Key{Service: service, RealServer: rs.Address}); {
	case !up:
		l.state = "down"
	case l.mac == frame.MAC{}:
		l.state = "no_mac"
	case rs.Weight == 0:
		l.state, l.real = "draining", lcore.RealDraining
	default:
		l.state, l.real = "up", lcore.RealUp
	}
	return l
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

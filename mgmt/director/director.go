package director

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/mgmt/api"
	"turnout/mgmt/events"
	"turnout/mgmt/health"
	"turnout/mgmt/neigh"
	"turnout/mgmt/store"
)

// Config says what a Director works with. All fields must be set but PeerMACs, RSS and Templates.
type Config struct {
	Version   string
	Store     *store.Store
	Role      api.Role
	TSCHz     uint64
	TSC       func() uint64 // reads the time stamp counter
	MaglevKey [16]byte
	Port      Port
	PortMAC   frame.MAC
	PeerMACs  []frame.MAC
	DIP       netip.Prefix
	Exec      bool // health checks of type exec may be asked for
	Lcores    []Lcore
	RSS       *lcore.RSS           // which lcore's queue a flow comes to; nil: not known
	Templates *flowtable.Templates // of the lcores
	Drains    *store.Drains
	Events    *events.Hub
	Log       *zap.Logger

	// What is known of real servers and VIPs, asked whenever it matters.
	Up         func(health.Key) bool
	MAC        func(netip.Addr) (frame.MAC, bool)
	Health     func() map[health.Key]health.Status
	Neighbours func() []api.Neighbour
	VIPs       func() []api.VIP
	Claims     func() []neigh.Claim
	CheckVIPs  func([]netip.Addr) error // refuses VIPs that the kernel holds
	SaveRole   func(api.Role) error     // has the role outlive a restart

	// Who else acts on the state in force. They must not block, and may not call the Director.
	OnVIPs    func([]netip.Addr)
	OnActive  func(bool) // also when the role is set to what it is: VIPs are then announced anew
	OnTargets func([]health.Target)
	OnServers func([]netip.Addr) // the real servers whose MAC must be found out
}

// Lcore is a worker and where it runs.
type Lcore struct {
	ID, Socket uint
	Adaptive   bool
	*lcore.Worker
}

// Director owns the desired state. Its methods are safe for concurrent use.
type Director struct {
	config   Config
	started  time.Time
	messages chan message
	ended    chan struct{} // closed when Run returns
	view     atomic.Pointer[view]
	stale    *stale
	drains   drains
	busy     busyMeter
	tsc      tscClock
	stopping atomic.Bool

	capturing atomic.Bool // somebody captures

	// What follows belongs to the goroutine of Run.
	desired    store.State
	generation uint64
	failed     bool // the last apply was refused
	epoch      uint64
	standby    bool
	registry   *registry
	compiled   map[serviceKey]*compiled
	refreshing *time.Ticker // ticks while tables change by themselves
}

var _ api.Director = (*Director)(nil)

// message is something to be done by the owner of the state.
type message struct {
	do   func() error
	done chan error // nil: nobody waits
}

// reapInterval is how often numbers of things removed, and drains, are looked at.
const reapInterval = time.Second

// New makes a Director; nothing is in force before Load.
func New(c Config) *Director {
	d := &Director{
		config: c, started: time.Now(), messages: make(chan message, 1024), ended: make(chan struct{}), stale: newStale(), standby: c.Role == api.RoleStandby,
		tsc: newTSCClock(c.TSC, c.TSCHz), registry: newRegistry(c.Templates), compiled: map[serviceKey]*compiled{}, refreshing: time.NewTicker(refreshInterval),
	}
	d.view.Store(&view{role: c.Role})
	return d
}

// Run does what is asked until ctx ends.
func (d *Director) Run(ctx context.Context) error {
	defer close(d.ended)
	reap := time.NewTicker(reapInterval)
	defer reap.Stop()
	defer d.refreshing.Stop()
	for {
		select {
		case m := <-d.messages:
			m.answer(m.do())
		case <-d.stale.wake:
			d.publish(d.stale.take())
		case <-d.refreshing.C: // a tick may have waited, so what it says of the time is not used
			d.refresh(time.Now())
		case <-reap.C:
			d.reap()
			d.watchDrains(time.Now())
			d.judgeOutliers(time.Now(), d.handshakesOf)
		case <-ctx.Done():
			return nil
		}
	}
}

func (m message) answer(err error) {
	if m.done != nil {
		m.done <- err
	}
}

// ask has something done by the owner of the state and waits for it, whatever becomes of ctx once it is taken on.
func (d *Director) ask(ctx context.Context, do func() error) error {
	done, err := d.post(ctx, do)
	if err != nil {
		return err
	}
	return d.wait(context.Background(), done)
}

// post gives the owner of the state something to do; done gets its error.
func (d *Director) post(ctx context.Context, do func() error) (done chan error, err error) {
	m := message{do, make(chan error, 1)}
	select {
	case d.messages <- m:
		return m.done, nil
	case <-d.ended:
		return nil, api.ErrStopping
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *Director) wait(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-d.ended:
		return api.ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Load reads services.yaml and puts it in force. A bad file is refused whole, and the state before stays.
func (d *Director) Load(ctx context.Context) error {
	return d.ask(ctx, func() error {
		err := d.load()
		d.failed = err != nil
		if err != nil {
			d.config.Events.Emit(events.Config, "", netip.Addr{}, "the services file is refused: "+err.Error())
		}
		d.publishView()
		return err
	})
}

func (d *Director) load() error {
	if d.generation == 0 {
		if err := d.loadDrains(); err != nil {
			return err
		}
	}
	state, notes, err := d.config.Store.Load(d.segment(), d.refusal)
	if err != nil {
		return err
	}
	if d.generation == 0 || !reflect.DeepEqual(state, d.desired) {
		d.apply(state)
	}
	d.generation = d.config.Store.Generation()
	for _, note := range notes {
		d.config.Log.Warn(note, zap.String("file", d.config.Store.Path()))
	}
	return nil
}

// refusal says why a state that is valid by itself cannot be put in force on this host.
func (d *Director) refusal(state store.State) error {
	if err := d.config.CheckVIPs(vipsOf(&state)); err != nil {
		mistakes := &store.Mistakes{}
		mistakes.Add("services", "%v", err)
		return mistakes
	}
	return d.registry.room(&state)
}

// Change is that of api.Director.
func (d *Director) Change(ctx context.Context, ifMatch uint64, dryRun bool, edit func(*store.State) error) (a api.Applied, err error) {
	var p *planned
	err = d.ask(ctx, func() error {
		a, p, err = d.change(ifMatch, dryRun, edit)
		return err
	})
	if err != nil {
		return a, err
	}
	p.tell(&a)
	if dryRun {
		err = p.tellFlows(ctx, d, &a)
	}
	return a, err
}

func (d *Director) change(ifMatch uint64, dryRun bool, edit func(*store.State) error) (api.Applied, *planned, error) {
	if ifMatch != 0 && ifMatch != d.generation {
		return api.Applied{}, nil, api.ErrStale
	}
	state := d.desired.Clone()
	if err := edit(&state); err != nil {
		return api.Applied{}, nil, err
	}
	notes, err := state.Validate(d.segment())
	if err == nil {
		err = d.refusal(state)
	}
	if err != nil {
		return api.Applied{}, nil, err
	}
	p := d.planned(&state)
	if !dryRun {
		if err := d.config.Store.Save(state); err != nil {
			return api.Applied{}, nil, err
		}
		d.apply(state)
	}
	return api.Applied{Generation: d.generation, Notes: notes}, p, nil
}

// apply puts a valid state, for which the registry has room, in force as a new generation.
func (d *Director) apply(state store.State) {
	d.registry.update(&state, d.epoch+1, d.read)
	changed := d.changed(&state)
	d.desired, d.failed = state, false
	d.generation = d.config.Store.Generation()
	if err := d.forgetDrains(); err != nil {
		d.config.Log.Warn("drains of removed real servers stay on disk", zap.Error(err))
	}
	// Health and neighbours learn first, so that what they know already counts in the snapshot.
	d.config.OnTargets(targetsOf(&state))
	d.config.OnServers(serversOf(&state))
	d.publish(changed)
	d.config.OnVIPs(vipsOf(&state))
	d.config.Log.Info("state applied", zap.Uint64("generation", d.generation), zap.Int("services", len(state.Services)))
	d.config.Events.Emit(events.Config, "", netip.Addr{}, fmt.Sprintf("generation %d is in force, with %d services", d.generation, len(state.Services)))
}

// changed tells which services are new or other than before.
func (d *Director) changed(state *store.State) func(*store.Service) bool {
	before := make(map[string]*store.Service, len(d.desired.Services))
	for i := range d.desired.Services {
		before[d.desired.Services[i].Name] = &d.desired.Services[i]
	}
	return func(svc *store.Service) bool {
		old := before[svc.Name]
		return old == nil || !reflect.DeepEqual(old, svc)
	}
}

// publish compiles the services of which changed is true and gives the lcores a new snapshot.
func (d *Director) publish(changed func(*store.Service) bool) {
	d.epoch++
	next := make(map[serviceKey]*compiled, len(d.desired.Services))
	for i := range d.desired.Services {
		svc := &d.desired.Services[i]
		key := keyOf(svc)
		old := d.compiled[key]
		if old != nil && !changed(svc) {
			next[key] = old
			continue
		}
		next[key] = d.compileService(svc, d.registry.services[key], old, time.Now())
	}
	d.compiled = next
	d.refreshing.Reset(refreshInterval)
	snapshot := lcore.Compile(d.spec())
	for _, l := range d.config.Lcores {
		l.Publish(snapshot)
	}
	d.publishView()
}

// reap frees the numbers of what was removed once its flows have gone.
func (d *Director) reap() {
	seen := d.epoch
	for _, l := range d.config.Lcores {
		seen = min(seen, l.ReadCounters().Epoch)
	}
	if names := d.registry.reap(seen, d.read); len(names) > 0 {
		d.publish(func(svc *store.Service) bool { return names[svc.Name] })
	}
}

// SetRole is that of api.Director.
func (d *Director) SetRole(ctx context.Context, r api.Role) error {
	return d.ask(ctx, func() error {
		if standby := r == api.RoleStandby; standby != d.standby {
			d.standby = standby
			d.publish(func(*store.Service) bool { return false })
			d.config.Log.Info("role changed", zap.String("role", string(r)))
			d.config.Events.Emit(events.Role, "", netip.Addr{}, "the director is "+string(r))
		}
		d.config.OnActive(!d.standby)
		if err := d.config.SaveRole(r); err != nil { // a takeover must not wait for a disk
			d.config.Log.Error("the role is set, but will not outlive a restart", zap.String("role", string(r)), zap.Error(err))
		}
		return nil
	})
}

// Stopping makes the director not ready from now on: a pair's other one is to take over before this one ends.
func (d *Director) Stopping() { d.stopping.Store(true) }

func (d *Director) role() api.Role {
	if d.standby {
		return api.RoleStandby
	}
	return api.RoleActive
}

func (d *Director) segment() store.Segment {
	return store.Segment{Exec: d.config.Exec, DIPs: []netip.Prefix{d.config.DIP}}
}

// vipsOf lists the VIPs of a state, each once.
func vipsOf(state *store.State) (vips []netip.Addr) {
	for i := range state.Services {
		vips = append(vips, state.Services[i].VIP)
	}
	return distinct(vips)
}

// serversOf lists the real servers whose MAC is not configured, each once.
func serversOf(state *store.State) (servers []netip.Addr) {
	for i := range state.Services {
		for _, rs := range members(&state.Services[i]) {
			if rs.MAC == "" {
				servers = append(servers, rs.Address)
			}
		}
	}
	return distinct(servers)
}

func distinct(addresses []netip.Addr) []netip.Addr {
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

func targetsOf(state *store.State) (targets []health.Target) {
	for i := range state.Services {
		svc := &state.Services[i]
		for _, rs := range svc.RealServers {
			targets = append(targets, health.Target{
				Key: health.Key{Service: svc.Name, RealServer: rs.Address}, Checks: svc.HealthChecks, Path: pathTo(svc, &rs),
			})
		}
	}
	return targets
}

package main

import (
	"context"
	"fmt"
	"net/netip"

	"go.uber.org/zap"

	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/lcore/port"
	"turnout/mgmt/api"
	"turnout/mgmt/director"
	"turnout/mgmt/events"
	"turnout/mgmt/health"
	"turnout/mgmt/metrics"
	"turnout/mgmt/neigh"
	"turnout/mgmt/probe"
	"turnout/mgmt/punt"
	"turnout/mgmt/store"
)

func (a *Appliance) openStore() (err error) {
	if a.key, err = loadMaglevKey(a.config.MaglevKeyFile); err != nil {
		return err
	}
	a.store, err = store.Open(a.config.ServicesFile)
	return err
}

// startManagement makes the parts of the control plane, ties them together and starts them.
func (a *Appliance) startManagement() error {
	p := a.config.Ports[0]
	role, err := loadRole(a.config)
	if err != nil {
		return err
	}
	active := role == api.RoleActive
	a.injector = punt.NewInjector(a.lcores.inject)
	a.guard = neigh.New(neigh.Config{
		PortMAC: a.port.MAC(), DIP: p.Prefix(), Active: active, Defend: a.config.DefendVIPs, Log: a.log,
		Send:     func(f []byte) bool { return a.injector.Send(lcore.InjectGenerated, f) },
		OnChange: (&vipNews{appliance: a}).tell,
	})
	a.prober = probe.New(probe.Config{
		DIP: p.Prefix(), PortMAC: a.port.MAC(), MAC: a.macOf,
		Resolve: func(rs netip.Addr) (frame.MAC, bool) { return neigh.Resolved(a.tap.Index(), rs) },
		Send:    func(f []byte) bool { return a.injector.Send(lcore.InjectGenerated, f) },
	})
	a.path = punt.New(punt.Config{
		TAP: a.tap, Rings: a.lcores.punts, Inject: a.injector, ARP: a.guard.HandleARP, Probe: a.prober.Handle,
	})
	a.path.SetActive(active)
	a.prober.SetActive(active)
	exec, err := a.config.Health.exec()
	if err != nil {
		return fmt.Errorf("health.exec_user: %w", err)
	}
	a.monitor = health.New(health.Config{
		Source: p.Prefix().Addr(), Version: version, Exec: exec, Log: a.log,
		Report: a.healthChanged, Path: a.prober.Probe, Diagnosed: a.diagnosed,
	})
	a.neighbours = neigh.NewNeighbours(neigh.NeighboursConfig{Index: a.tap.Index(), Log: a.log, Update: a.noteMACs})
	a.director = a.newDirector(role)
	a.link.port, a.link.config = a.port, p

	a.tasks.begin()
	a.tasks.spawn("punt path", a.path.Run)
	a.tasks.spawn("VIP guard", func(ctx context.Context) error { a.guard.Run(ctx); return nil })
	a.tasks.spawn("neighbours", a.neighbours.Run)
	a.tasks.spawn("health checks", a.monitor.Run)
	a.tasks.spawn("director", a.director.Run)
	a.tasks.spawn("link", a.watchLink)
	return nil
}

func (a *Appliance) stopManagement() error {
	a.tasks.end()
	return nil
}

func (a *Appliance) newDirector(role api.Role) *director.Director {
	p := a.config.Ports[0]
	return director.New(director.Config{
		Version: version, Store: a.store, Role: role, TSCHz: port.TSCHz(), TSC: port.TSC, MaglevKey: a.key,
		Port: &a.link, PortMAC: a.port.MAC(), PeerMACs: p.Peers(), DIP: p.Prefix(), Exec: a.config.Health.ExecDir != "",
		Lcores: a.lcores.workers, RSS: a.port.RSS(), Templates: a.lcores.templates, Drains: store.OpenDrains(a.config.besideKey("drains")), Events: a.events, Log: a.log,
		Up:         func(k health.Key) bool { return a.monitor.State(k).Up },
		MAC:        a.macOf,
		Health:     a.monitor.All,
		Neighbours: a.listNeighbours,
		VIPs:       a.listVIPs,
		Claims:     a.guard.Claims,
		CheckVIPs:  punt.CheckVIPs,
		SaveRole:   func(r api.Role) error { return saveRole(a.config, r) },
		OnVIPs: func(vips []netip.Addr) {
			a.prober.SetVIPs(vips)
			a.path.SetVIPs(vips) // the kernel is silenced before the guard speaks
			a.guard.SetVIPs(vips)
		},
		OnActive: func(active bool) {
			a.path.SetActive(active)
			a.prober.SetActive(active)
			a.guard.SetActive(active)
		},
		OnTargets: a.monitor.Set,
		OnServers: func(servers []netip.Addr) {
			a.neighbours.SetTargets(servers)
			a.guard.SetServers(servers)
		},
	})
}

// noteMACs keeps what the kernel knows, and tells the director which real servers' MACs are other than before.
func (a *Appliance) noteMACs(now map[netip.Addr]frame.MAC) {
	var changed []netip.Addr
	for address, mac := range now {
		if before, _ := a.macOf(address); before != mac {
			changed = append(changed, address)
			a.events.Emit(events.Neighbour, "", address, neighbourText(address, before, mac))
		}
	}
	a.macs.Store(&now)
	if len(changed) > 0 {
		a.director.MACsChanged(changed)
		a.guard.Tell() // who claims an address may have a name now
	}
}

// macOf is the MAC of a real server as far as the kernel knows it.
func (a *Appliance) macOf(address netip.Addr) (frame.MAC, bool) {
	macs := a.macs.Load()
	if macs == nil {
		return frame.MAC{}, false
	}
	mac, ok := (*macs)[address]
	return mac, ok
}

func (a *Appliance) listNeighbours() []api.Neighbour {
	list := []api.Neighbour{}
	for _, n := range a.neighbours.List() {
		described := api.Neighbour{Address: n.Address, State: n.State.String(), Source: "kernel"}
		if (n.MAC != frame.MAC{}) {
			described.MAC = n.MAC.String()
		}
		list = append(list, described)
	}
	return list
}

func (a *Appliance) listVIPs() []api.VIP {
	list := []api.VIP{}
	for _, v := range a.guard.VIPs() {
		list = append(list, api.VIP{Address: v.Address, State: v.State.String()})
	}
	return list
}

// loadServices puts the services file in force: at the start a bad one is fatal, later it is not.
func (a *Appliance) loadServices() error { return a.director.Load(context.Background()) }

// Reload reads the services file again. A bad one is refused whole, and the state in force stays.
func (a *Appliance) Reload(ctx context.Context) {
	a.supervisor.reloading()
	defer a.supervisor.ready()
	if err := a.director.Load(ctx); err != nil {
		a.log.Error("services file refused; the state in force stays", zap.String("file", a.store.Path()), zap.Error(err))
	}
}

func (a *Appliance) startAPI() (err error) {
	m := a.config.Mgmt
	registry := metrics.NewRegistry(a.director, metrics.Options{RealServers: a.config.Metrics.RealServers})
	a.server, err = api.Listen(api.Config{
		Listen: m.Listen, SocketGroup: m.SocketGroup, TokenFile: m.TokenFile,
		TLS:      api.TLS{Cert: m.TLS.Cert, Key: m.TLS.Key, ClientCA: m.TLS.ClientCA},
		Director: a.director, Metrics: metrics.Handler(registry), Log: a.log,
	})
	if err != nil {
		return err
	}
	a.tasks.spawn("API", a.server.Run)
	return nil
}

func (a *Appliance) stopAPI() error { return a.server.Close() }

package main

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"turnout/lcore/port"
	"turnout/mgmt/api"
	"turnout/mgmt/events"
)

// linkInterval is how often the link is looked at: drivers differ in whether they tell of changes by themselves.
const linkInterval = 250 * time.Millisecond

// link is what the API tells of the port, and the state of its link as last seen.
type link struct {
	port   *port.Port
	config PortConfig
	state  atomic.Pointer[port.Link]
}

// watchLink tells of the port's link going up and down.
func (a *Appliance) watchLink(ctx context.Context) error {
	tick := time.NewTicker(linkInterval)
	defer tick.Stop()
	for {
		a.lookAtLink()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *Appliance) lookAtLink() {
	now, err := a.port.Link() // a driver that cannot tell has its link down
	before := a.link.state.Swap(&now)
	if before != nil && before.Up == now.Up {
		return
	}
	a.log.Info("link", zap.String("port", a.port.Name()), zap.Bool("up", now.Up), zap.Error(err))
	a.events.Emit(events.Link, "", netip.Addr{}, "the link of port "+a.port.Name()+" is "+upDown(now.Up))
	a.guard.LinkUp(now.Up)
}

// Brief is that of director.Port.
func (l *link) Brief() api.Port {
	state := port.Link{}
	if known := l.state.Load(); known != nil {
		state = *known
	}
	stats, _ := l.port.Stats() // a driver that does not count has lost nothing that it knows of
	return api.Port{
		Name: l.config.Name, Device: l.config.Device, Driver: l.port.Driver(), MAC: l.port.MAC().String(), Address: l.config.Address,
		KernelInterface: l.config.KernelInterface, MTU: l.config.MTU, LinkUp: state.Up, SpeedMbps: state.SpeedMbps,
		RxQueues: l.port.Queues(), RxMissed: stats.RxMissed, RxNoMbuf: stats.RxNoMbuf,
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"turnout/lcore/frame"
	"turnout/lcore/port"
	"turnout/mgmt/api"
	"turnout/mgmt/director"
	"turnout/mgmt/events"
	"turnout/mgmt/health"
	"turnout/mgmt/neigh"
	"turnout/mgmt/probe"
	"turnout/mgmt/punt"
	"turnout/mgmt/store"
)

// Appliance is turnout at work: its parts, started down the list and stopped up.
type Appliance struct {
	config *Config
	log    *zap.Logger

	store      *store.Store
	key        [16]byte
	cpus       *port.CPUs
	port       *port.Port
	link       link
	tap        *punt.TAP
	lcores     *lcores
	injector   *punt.Injector
	path       *punt.Path
	guard      *neigh.Guard
	neighbours *neigh.Neighbours
	macs       atomic.Pointer[map[netip.Addr]frame.MAC] // of real servers, as the kernel knows them
	monitor    *health.Monitor
	prober     *probe.Prober
	events     *events.Hub
	director   *director.Director
	server     *api.Server
	supervisor *supervisor
	tasks      tasks
}

// part is something that is started, and stopped again in the opposite order.
type part struct {
	name  string
	start func() error
	stop  func() error // nil: nothing to do
}

// New makes an appliance; nothing happens before Run.
func New(config *Config, log *zap.Logger) *Appliance {
	return &Appliance{config: config, log: log, events: events.New()}
}

// parts is the one list of what the appliance is made of.
func (a *Appliance) parts() []part {
	return []part{
		{"host", a.prepareHost, nil},
		{"state on disk", a.openStore, nil},
		{"DPDK", a.startEAL, port.StopEAL},
		{"port", a.openPort, a.closePort},
		{"kernel interface", a.openTAP, a.closeTAP},
		{"lcores", a.startLcores, a.stopLcores},
		{"management", a.startManagement, a.stopManagement},
		{"services", a.loadServices, nil},
		{"API", a.startAPI, a.stopAPI},
	}
}

// errStuck ends the stopping: what an lcore still polls cannot be taken away. The end of the process frees it.
var errStuck = errors.New("an lcore does not leave its loop")

// Run starts the parts, waits until ctx ends or one of them fails, and stops those that were started.
func (a *Appliance) Run(ctx context.Context) error {
	ctx, a.tasks.fail = context.WithCancelCause(ctx)
	defer a.tasks.fail(nil)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // for good: by default it would end the process
	started, err := a.start(ctx)
	if err == nil && ctx.Err() == nil {
		a.log.Info("forwarding", zap.String("port", a.port.Name()), zap.String("role", string(a.director.Role())))
		a.supervisor = a.newSupervisor()
		a.supervisor.ready()
		a.follow(hangups)
		<-ctx.Done()
		tell(a.log, daemon.SdNotifyStopping)
		if errors.Is(context.Cause(ctx), context.Canceled) { // else a part has failed
			a.resign()
		}
	}
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return errors.Join(err, stop(started))
}

// start starts the parts down the list, until one fails or ctx ends, and returns those that were started.
func (a *Appliance) start(ctx context.Context) (started []part, err error) {
	for _, p := range a.parts() {
		if ctx.Err() != nil {
			return started, nil
		}
		if err := p.start(); err != nil {
			return started, fmt.Errorf("%s: %w", p.name, err)
		}
		started = append(started, p)
	}
	return started, nil
}

// stop stops parts up the list.
func stop(started []part) (err error) {
	for _, p := range slices.Backward(started) {
		if p.stop == nil {
			continue
		}
		if stopped := p.stop(); stopped != nil {
			err = errors.Join(err, fmt.Errorf("stop %s: %w", p.name, stopped))
		}
		if errors.Is(err, errStuck) {
			break
		}
	}
	return err
}

// tasks are goroutines that work until they are told to stop; one that fails ends the appliance.
type tasks struct {
	fail context.CancelCauseFunc
	stop context.CancelFunc
	ctx  context.Context
	wg   sync.WaitGroup
}

func (t *tasks) begin() { t.ctx, t.stop = context.WithCancel(context.Background()) }

// spawn runs a task until end.
func (t *tasks) spawn(name string, run func(context.Context) error) {
	t.wg.Go(func() {
		if err := run(t.ctx); err != nil {
			t.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// end stops the tasks and waits for them.
func (t *tasks) end() {
	t.stop()
	t.wg.Wait()
}

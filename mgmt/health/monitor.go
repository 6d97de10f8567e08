package health

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Monitor runs the checks of all targets. One goroutine starts what is due; each run of a check has a goroutine for as
// long as it lasts, at most the check's timeout. All methods are safe for concurrent use.
type Monitor struct {
	cfg  Config
	dial DialFunc

	wake    chan struct{} // the schedule begins with another check than before
	changed chan struct{} // changes is not empty
	closed  chan struct{}
	close   sync.Once
	running sync.Mutex // held by Run

	mu      sync.Mutex
	targets map[Key]*target
	checks  map[checkKey]*check
	queue   schedule // every check that is not running now
	changes []announcement
}

// announcement is a change on its way to the log and, unless only the log is to have it, to Config.Report; or it is a
// diagnosis on its way to Config.Diagnosed.
type announcement struct {
	Change
	logOnly   bool
	diagnosed *Diagnosed
}

// New returns a Monitor without targets. Nothing is checked until Run.
func New(cfg Config) *Monitor {
	m := &Monitor{
		cfg:     cfg,
		dial:    cfg.Dial,
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		closed:  make(chan struct{}),
	}
	if m.dial == nil {
		m.dial = dialFrom(cfg.Source)
	}
	return m
}

// Set replaces the whole list of targets; of those with an equal Key the last counts. What is known of a target stays
// with its Key: state, counters, and for each unchanged check the results in a row and the time of the next run. A
// changed check keeps the state and counts anew. A new target is down until every check of it passed rise times in a
// row, or, where all begin as up, up until one failed fall times in a row; one without checks is up at once. Set never
// waits for a check or for Report.
func (m *Monitor) Set(targets []Target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	next := make(map[Key]*target, len(targets))
	for _, t := range targets {
		if m.cfg.Path == nil {
			t.Path = Path{}
		}
		next[t.Key] = newTarget(t, m.targets[t.Key], now)
	}
	m.targets = next
	stagger(m.share(), now)
	m.refill()
	for _, t := range next {
		m.judge(t, now)
	}
}

// State is what the checks say of the target of key k; the zero Status if there is no such target.
func (m *Monitor) State(k Key) Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.targets[k]; t != nil {
		return t.status
	}
	return Status{}
}

// All is the status of every target.
func (m *Monitor) All() map[Key]Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[Key]Status, len(m.targets))
	for k, t := range m.targets {
		all[k] = t.status
	}
	return all
}

// Run checks the targets until ctx is done or Close is called, and returns nil once every goroutine that it started has
// ended. Checks cut short by the end count for nothing.
func (m *Monitor) Run(ctx context.Context) error {
	m.running.Lock()
	defer m.running.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()

	m.restart()
	work.Go(func() { m.announce(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.closed:
			return nil
		case <-timer.C:
		case <-m.wake:
		}
		due, wait := m.due()
		for _, c := range due {
			work.Go(func() { m.check(ctx, c) })
		}
		timer.Reset(wait)
	}
}

// Close ends Run and waits for it, a Report under way included; a later Run returns at once. State and All still answer.
func (m *Monitor) Close() error {
	m.close.Do(func() { close(m.closed) })
	m.running.Lock()
	defer m.running.Unlock()
	return nil
}

// judge draws the conclusion from t's counts and queues the change if there is one. A new target that turns out to be
// down did not change, but the log should tell.
func (m *Monitor) judge(t *target, now time.Time) {
	changed, first := t.judge(now)
	if changed || first && !t.status.Up {
		m.queueUp(announcement{Change: t.change(), logOnly: !changed})
	}
	if t.diagnose() {
		m.queueUp(announcement{diagnosed: &Diagnosed{t.key, t.status.Diagnosis}})
	}
}

func (m *Monitor) queueUp(a announcement) {
	m.changes = append(m.changes, a)
	signal(m.changed)
}

// announce logs and reports changes until ctx is done.
func (m *Monitor) announce(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.changed:
		}
		for _, a := range m.takeChanges() {
			if ctx.Err() != nil {
				return
			}
			m.tell(a)
		}
	}
}

func (m *Monitor) tell(a announcement) {
	if a.diagnosed != nil {
		m.logDiagnosis(*a.diagnosed)
		if m.cfg.Diagnosed != nil {
			m.cfg.Diagnosed(*a.diagnosed)
		}
		return
	}
	m.log(a.Change)
	if !a.logOnly {
		m.cfg.Report(a.Change)
	}
}

func (m *Monitor) takeChanges() []announcement {
	m.mu.Lock()
	defer m.mu.Unlock()
	changes := m.changes
	m.changes = nil
	return changes
}

func (m *Monitor) log(c Change) {
	log := m.cfg.Log.With(zap.String("service", c.Service), zap.Stringer("real_server", c.RealServer))
	if c.Up {
		log.Info("real server is up")
	} else {
		log.Info("real server is down", zap.String("error", c.Reason))
	}
}

func (m *Monitor) logDiagnosis(d Diagnosed) {
	m.cfg.Log.Info("path to real server", zap.String("service", d.Service), zap.Stringer("real_server", d.RealServer),
		zap.String("diagnosis", string(d.Diagnosis)), zap.String("error", d.Why), zap.String("mend", d.Mend))
}

// signal wakes the one goroutine that reads c; a signal that it has not seen yet is enough.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

package health

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"net/netip"
	"time"

	"go.uber.org/zap"
)

// The first run of a check waits at most startWithin, so that a new real server is known soon even where the interval is
// long; only where that would mean more first runs than one per startEvery, they may take the whole interval. A connection
// costs some 100 us of CPU, and a director that has none left would take its real servers for dead.
const (
	startWithin = time.Second
	startEvery  = 200 * time.Microsecond
)

// idle is how long Run sleeps with nothing to check, unless it is woken.
const idle = time.Hour

// checkKey tells checks apart: targets for which it is equal share the runs. What only says how a target counts them is
// zero in it.
type checkKey struct {
	address netip.Addr
	probing
}

// check is one health check of one address. The Monitor's lock guards all but key.
type check struct {
	key     checkKey
	counts  []*count // who wants the results
	due     time.Time
	gap     time.Duration // from this start to the next, before jitter
	running bool
}

// share builds the checks that the targets want, keeping those that exist, and returns the new ones.
func (m *Monitor) share() (fresh []*check) {
	old := m.checks
	m.checks = make(map[checkKey]*check, len(old))
	for _, c := range old {
		c.counts = nil
	}
	for _, t := range m.targets {
		for _, n := range t.counts {
			key := checkKey{t.key.RealServer, n.check}
			key.Rise, key.Fall, key.Initial, key.advisory = 0, 0, "", false
			if m.checks[key] == nil && old[key] != nil {
				m.checks[key] = old[key]
			}
			if m.checks[key] == nil {
				m.checks[key] = &check{key: key}
				fresh = append(fresh, m.checks[key])
			}
			m.checks[key].counts = append(m.checks[key].counts, n)
		}
	}
	return fresh
}

// stagger spreads the first runs of checks evenly over a short time, and the second runs over the whole interval.
func stagger(checks []*check, now time.Time) {
	within := max(startWithin, time.Duration(len(checks))*startEvery)
	for i, c := range checks {
		interval := time.Duration(c.key.Interval)
		window := min(interval, within)
		part := float64(i) / float64(len(checks))
		c.due = now.Add(time.Duration(part * float64(window)))
		c.gap = window + time.Duration(part*float64(interval-window))
	}
}

// restart staggers every check, for time passed between Set and Run.
func (m *Monitor) restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*check, 0, len(m.checks))
	for _, c := range m.checks {
		c.running = false
		all = append(all, c)
	}
	stagger(all, time.Now())
	m.refill()
}

// refill makes the queue hold what is in checks.
func (m *Monitor) refill() {
	m.queue = m.queue[:0]
	for _, c := range m.checks {
		if !c.running {
			m.queue = append(m.queue, c)
		}
	}
	heap.Init(&m.queue)
	signal(m.wake)
}

// due takes the checks whose time has come, and tells how long to wait for the next one.
func (m *Monitor) due() (due []*check, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for len(m.queue) > 0 {
		if wait = m.queue[0].due.Sub(now); wait > 0 {
			return due, wait
		}
		c := heap.Pop(&m.queue).(*check)
		c.running = true
		c.due, c.gap = now.Add(shorten(c.gap)), time.Duration(c.key.Interval)
		due = append(due, c)
	}
	return due, idle
}

// shorten takes up to a tenth off gap at random, so that checks drift apart. It never adds: a real server that stops
// answering is down after at most fall x interval + timeout.
func shorten(gap time.Duration) time.Duration {
	return gap - rand.N(gap/10+1)
}

// check runs c once.
func (m *Monitor) check(ctx context.Context, c *check) {
	run, cancel := context.WithTimeout(ctx, time.Duration(c.key.Timeout))
	defer cancel()
	start := time.Now()
	seen, err := m.once(run, c.key)
	r := result{latency: time.Since(start), seen: seen}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.err = m.explain(err, time.Duration(c.key.Timeout))
	}
	counts := m.finish(c, r)
	if r.err != "" {
		m.logFailure(counts, r)
	}
}

// finish hands r to all who want it, whom it returns, and puts c back into the queue: runs of one check never overlap.
func (m *Monitor) finish(c *check, r result) []*count {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, n := range c.counts {
		n.record(r)
		m.judge(n.target, now)
	}
	c.running = false
	if m.checks[c.key] != c {
		return nil // Set has removed it
	}
	heap.Push(&m.queue, c)
	if m.queue[0] == c {
		signal(m.wake)
	}
	return c.counts
}

// logFailure reads only what does not change in counts, so it needs no lock.
func (m *Monitor) logFailure(counts []*count, r result) {
	for _, c := range counts {
		m.cfg.Log.Debug("health check failed", zap.String("service", c.target.key.Service),
			zap.Stringer("real_server", c.target.key.RealServer), zap.String("check", describe(c.check)),
			zap.String("error", r.err), zap.Duration("latency", r.latency))
	}
}

// schedule is a heap (container/heap) of checks, the one due first on top.
type schedule []*check

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(c any)        { *s = append(*s, c.(*check)) }
func (s *schedule) Pop() any {
	last := len(*s) - 1
	c := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return c
}

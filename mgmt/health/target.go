package health

import (
	"fmt"
	"time"

	"turnout/mgmt/probe"
	"turnout/mgmt/store"
)

// target is a real server in one service, judged by one count per check. The Monitor's lock guards it.
type target struct {
	key    Key
	counts []*count
	status Status
}

// count is how far one check of one target has got.
type count struct {
	target *target
	check  probing
	up     bool
	proven bool           // rise or fall was reached at least once
	streak int            // results in a row: passes above zero, failures below
	err    string         // of the last run, empty if it passed
	seen   probe.Evidence // by the last run of a path probe
}

// probing is what is run for a target: a check of its RIP, or the path probe. It is comparable.
type probing struct {
	store.HealthCheck              // of a path probe without a type: when it runs and how it is counted
	path              probe.Target // zero: a check of the RIP
	advisory          bool         // not counted for health
}

func (p *probing) isPath() bool { return p.path.VIP.IsValid() }

// result is what one run of a check gave; err is empty if it passed.
type result struct {
	err     string
	latency time.Duration
	seen    probe.Evidence // by a path probe
}

// newTarget builds the target t. What was known of it under the same key is taken over from old; a check that old did not
// have begins with old's state and counts anew. The checks of a new target (old is nil) begin as their Initial says.
func newTarget(t Target, old *target, now time.Time) *target {
	n := &target{key: t.Key, status: Status{Since: now}}
	if old != nil {
		n.status = old.status
	}
	for _, check := range t.probings() {
		if n.count(check) == nil {
			n.counts = append(n.counts, carry(check, n, old))
		}
	}
	return n
}

// probings lists what is to be run, the path probe last.
func (t *Target) probings() (all []probing) {
	for _, check := range t.Checks {
		if check.Via = ""; check.Type != store.CheckNone {
			all = append(all, probing{HealthCheck: check})
		}
	}
	if t.Path.VIP.IsValid() {
		all = append(all, probing{HealthCheck: t.Path.Check, path: t.Path.Target, advisory: !t.Path.Counts})
	}
	return all
}

// carry is the count of check for n: old's own if it has the check.
func carry(check probing, n, old *target) *count {
	c := &count{check: check, up: n.status.Up}
	if old == nil {
		c.up = check.Initial == store.InitialUp
	}
	if old != nil && old.count(check) != nil {
		*c = *old.count(check)
	}
	c.target = n
	return c
}

// count finds the count of check, or nil.
func (t *target) count(check probing) *count {
	for _, c := range t.counts {
		if c.check == check {
			return c
		}
	}
	return nil
}

// record takes in one result of c's check.
func (c *count) record(r result) {
	s := &c.target.status
	c.err, c.seen = r.err, r.seen
	if !c.check.isPath() {
		s.Latency = r.latency
		s.Durations.observe(r.latency)
	}
	if r.err == "" {
		c.pass()
	} else {
		c.fail()
	}
	switch {
	case c.check.advisory:
	case r.err == "":
		s.Passed++
	default:
		s.Failed++
	}
}

func (c *count) pass() {
	c.streak = max(c.streak, 0) + 1
	if c.streak >= c.check.Rise {
		c.up, c.proven = true, true
	}
}

func (c *count) fail() {
	c.streak = min(c.streak, 0) - 1
	if -c.streak >= c.check.Fall {
		c.up, c.proven = false, true
	}
}

// judge makes the status follow from the counts: up if every check that counts is. It tells whether Up changed, and whether this is
// the first judgement.
func (t *target) judge(now time.Time) (changed, first bool) {
	up, proven := true, true
	t.status.LastError = ""
	for _, c := range t.counts {
		if c.check.advisory {
			continue
		}
		up = up && c.up
		proven = proven && c.proven
		if t.status.LastError == "" {
			t.status.LastError = c.err
		}
	}
	proven = proven || t.down() != nil
	first = proven && !t.status.Proven
	t.status.Proven = t.status.Proven || proven
	if changed = up != t.status.Up; changed {
		t.status.Up, t.status.Since = up, now
	}
	return changed, first
}

// down finds a check that is known to have failed fall times in a row, or nil.
func (t *target) down() *count {
	for _, c := range t.counts {
		if c.proven && !c.up && !c.check.advisory {
			return c
		}
	}
	return nil
}

// change describes the state that t is in now.
func (t *target) change() Change {
	reason := "every health check passes"
	if len(t.counts) == 0 {
		reason = "no health check"
	} else if !t.status.Proven {
		reason = "up until proven down"
	}
	if c := t.down(); c != nil {
		reason = describe(c.check) + ": " + c.err
	}
	return Change{Key: t.key, Up: t.status.Up, Reason: reason}
}

// diagnose makes the diagnosis follow from the last runs, and tells whether it is to be announced.
func (t *target) diagnose() bool {
	before := t.status.Diagnosis.Diagnosis
	t.status.Diagnosis = t.finding()
	now := t.status.Diagnosis.Diagnosis
	return now != before && now != "" && (before != "" || now != probe.OK)
}

// finding joins what the path probe saw with what the checks of the RIP say. Without a path probe it is zero.
func (t *target) finding() probe.Finding {
	check := ""
	for _, c := range t.counts {
		switch {
		case !c.check.isPath() && check == "":
			check = c.err
		case c.check.isPath() && c.seen.VIP.IsValid():
			return c.seen.Diagnose(check) // it is the last one
		}
	}
	return probe.Finding{}
}

// describe names a check for people.
func describe(c probing) string {
	if c.isPath() {
		return "path to " + c.path.VIP.String()
	}
	text := string(c.Type)
	if c.File != "" {
		text += " " + c.File
	}
	if c.Port != 0 {
		text += fmt.Sprintf(" port %d", c.Port)
	}
	if c.Query != "" {
		text += " " + c.Query + " " + c.QueryType
	}
	return text + c.Path
}

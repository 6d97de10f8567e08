package health

import (
	"fmt"
	"time"

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
	check  store.HealthCheck
	up     bool
	proven bool   // rise or fall was reached at least once
	streak int    // results in a row: passes above zero, failures below
	err    string // of the last run, empty if it passed
}

// result is what one run of a check gave; err is empty if it passed.
type result struct {
	err     string
	latency time.Duration
}

// newTarget builds the target t. What was known of it under the same key is taken over from old; a check that old did not
// have begins with old's state and counts anew. The checks of a new target (old is nil) begin as their Initial says.
func newTarget(t Target, old *target, now time.Time) *target {
	n := &target{key: t.Key, status: Status{Since: now}}
	if old != nil {
		n.status = old.status
	}
	for _, check := range t.Checks {
		if check.Type != store.CheckNone && n.count(check) == nil {
			n.counts = append(n.counts, carry(check, n, old))
		}
	}
	return n
}

// carry is the count of check for n: old's own if it has the check.
func carry(check store.HealthCheck, n, old *target) *count {
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
func (t *target) count(check store.HealthCheck) *count {
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
	s.Latency = r.latency
	s.Durations.observe(r.latency)
	c.err = r.err
	if r.err == "" {
		s.Passed++
		c.pass()
	} else {
		s.Failed++
		c.fail()
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

// judge makes the status follow from the counts: up if every check is. It tells whether Up changed, and whether this is
// the first judgement.
func (t *target) judge(now time.Time) (changed, first bool) {
	up, proven := true, true
	t.status.LastError = ""
	for _, c := range t.counts {
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
		if c.proven && !c.up {
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

// describe names a check for people.
func describe(c store.HealthCheck) string {
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

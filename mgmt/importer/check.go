package importer

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"

	"turnout/mgmt/store"
)

// timing is how often a check is made and how many failures in a row count, as a file says it. One success always
// brings a real server up, in keepalived and ldirectord.
type timing struct {
	line              int
	interval, timeout time.Duration
	fall              int
}

// Bounds of a check in services.yaml.
const (
	minInterval, maxInterval = 100 * time.Millisecond, time.Hour
	minTimeout               = 10 * time.Millisecond
	maxFall                  = 100
)

var noCheck = store.HealthChecks{{Type: store.CheckNone}}

// bounded brings the timing into the bounds of services.yaml and remarks what it changes.
func (c *collector) bounded(t timing) timing {
	b := t
	b.interval = min(max(t.interval, minInterval), maxInterval)
	b.timeout = min(max(t.timeout, minTimeout), b.interval)
	b.fall = min(max(t.fall, 1), maxFall)
	if b.interval != t.interval {
		c.remark(t.line, "check interval %s is out of range (%s to %s): %s is in its place", t.interval, minInterval, maxInterval, b.interval)
	}
	if b.timeout != t.timeout {
		c.remark(t.line, "check timeout %s is out of range (%s to the interval): %s is in its place", t.timeout, minTimeout, b.timeout)
	}
	if b.fall != t.fall {
		c.remark(t.line, "%d failures in a row are out of range (1 to %d): %d is in their place", t.fall, maxFall, b.fall)
	}
	return b
}

// check returns a check of that type. Port 0 is none that could be spoken to, and is of no matter to icmp.
func (c *collector) check(kind store.CheckType, port uint16, t timing) store.HealthCheck {
	keys := map[string]any{"type": kind, "port": port}
	if kind == store.CheckICMP {
		delete(keys, "port")
	} else if port == 0 {
		c.remark(t.line, "the check has no port to connect to: none is in its place; add one with a port to health_check")
		return noCheck[0]
	}
	svc, err := decodeService(map[string]any{"vip": "192.0.2.1", "protocol": "tcp", "port": 1, "health_check": keys})
	if err != nil {
		c.remark(t.line, "%v", err)
		return noCheck[0]
	}
	t = c.bounded(t)
	check := svc.HealthChecks[0]
	check.Interval, check.Timeout = store.Duration(t.interval), store.Duration(t.timeout)
	check.Rise, check.Fall = 1, t.fall
	return check
}

// expect returns the check with set applied, or as it is and a remark if that makes no check.
func (c *collector) expect(check store.HealthCheck, line int, what string, set func(*store.HealthCheck)) store.HealthCheck {
	changed := check
	set(&changed)
	if err := validCheck(changed); err != nil {
		c.remark(line, "%s not carried over: %v", what, err)
		return check
	}
	return changed
}

func validCheck(check store.HealthCheck) error {
	svc, err := decodeService(map[string]any{"vip": "192.0.2.1", "protocol": "tcp", "port": 1})
	if err != nil {
		return err
	}
	svc.HealthChecks = store.HealthChecks{check}
	return valid(svc)
}

// standIn takes the place of a check that cannot be carried over, as why says: what accepts connections is likely to be
// alive. Nothing can be told of udp that way.
func (c *collector) standIn(why, protocol string, port uint16, t timing) store.HealthCheck {
	if protocol != string(store.TCP) {
		c.remark(t.line, "%s; no other check is sure to fit a %s service: none is in its place, "+
			"so a dead real server keeps getting flows; add one of type icmp to health_check if the real servers answer to it", why, printable(protocol))
		return noCheck[0]
	}
	c.remark(t.line, "%s: a tcp check of the port is in its place", why)
	return c.check(store.CheckTCP, port, t)
}

// together makes one list of the checks of a real server: none has no place beside another, and what a check before
// it has proven is not checked again.
func together(checks []store.HealthCheck) store.HealthChecks {
	var list store.HealthChecks
	for _, check := range checks {
		proven := slices.ContainsFunc(list, func(before store.HealthCheck) bool { return proves(before, check) })
		if check.Type != store.CheckNone && !proven {
			list = append(list, check)
		}
	}
	if len(list) == 0 {
		return noCheck
	}
	return list
}

// proves says whether a check that passes leaves nothing to ask for another one.
func proves(before, check store.HealthCheck) bool {
	connects := before.Type == store.CheckTCP || before.Type == store.CheckHTTP || before.Type == store.CheckHTTPS
	return check.Type == store.CheckTCP && connects && before.Port == check.Port || reflect.DeepEqual(before, check)
}

// parseSeconds reads a time in seconds, which may have a fraction. A day is more than any check can use.
func parseSeconds(s string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 {
		return 0, fmt.Errorf("%s is not a number of seconds", printable(s))
	}
	return time.Duration(min(seconds, 86400) * float64(time.Second)).Round(time.Millisecond), nil
}

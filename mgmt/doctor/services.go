package doctor

import (
	"strings"
	"time"

	"turnout/mgmt/store"
)

// Services is the desired state, and what the packages that read it say of it.
type Services struct {
	Mistakes error    // of turnout.yaml and services.yaml: *store.Mistakes, joined, or that a file cannot be read
	Notes    []string // package store's
	State    store.State
}

// serviceChecks is the list of what is looked at in the desired state, beside what package store says itself.
var serviceChecks = []check[*Services]{
	{
		"configuration", "turnout.yaml and services.yaml have no mistakes",
		"turnout starts with no mistake, and reloads with none", mistakes,
	},
	{
		"remarks", "there is nothing unusual in services.yaml",
		"it works as it says, which may not be what was meant", remarks,
	},
	{
		"spare_real_server", "every service has at least two real servers with a weight",
		"when the only real server fails, or is drained, the service is down", spareRealServer,
	},
	{
		"detection", "health checks find a dead real server within half a minute",
		"until then new flows go to it and wait", detection,
	},
}

// Examine looks at the desired state.
func (s *Services) Examine() []Finding { return examine(serviceChecks, s) }

func mistakes(s *Services) (all []Finding) {
	if s.Mistakes == nil {
		return nil
	}
	for line := range strings.Lines(s.Mistakes.Error()) {
		all = append(all, found(Error, "correct it, then: turnout check", "%s", strings.TrimSpace(line)))
	}
	return all
}

func remarks(s *Services) (all []Finding) {
	for _, note := range s.Notes {
		all = append(all, found(Note, "change it in services.yaml, or leave it if it is meant", "%s", note))
	}
	return all
}

func spareRealServer(s *Services) (all []Finding) {
	for _, svc := range s.State.Services {
		usable := 0
		for _, rs := range svc.RealServers {
			if rs.Weight > 0 {
				usable++
			}
		}
		switch usable {
		case 0:
			all = append(all, found(Warning, "give a real server of "+svc.Name+" a weight in services.yaml", "%s has no real server with a weight", svc.Name))
		case 1:
			all = append(all, found(Note, "add a real server to "+svc.Name+" in services.yaml", "%s has one real server with a weight", svc.Name))
		}
	}
	return all
}

// slowDetection is how long a dead real server may go unnoticed.
const slowDetection = 30 * time.Second

func detection(s *Services) (all []Finding) {
	for _, svc := range s.State.Services {
		if took, checked := detectionTime(svc.HealthChecks); checked && took > slowDetection {
			all = append(all, found(Note, "lower interval or fall of its health_check in services.yaml", "%s notices a dead real server after up to %s", svc.Name, took))
		}
	}
	return all
}

// detectionTime is how long the quickest of a service's checks takes at most.
func detectionTime(checks store.HealthChecks) (quickest time.Duration, checked bool) {
	for _, c := range checks {
		if c.Type == store.CheckNone {
			continue
		}
		took := time.Duration(c.Fall)*time.Duration(c.Interval) + time.Duration(c.Timeout)
		if !checked || took < quickest {
			quickest, checked = took, true
		}
	}
	return quickest, checked
}

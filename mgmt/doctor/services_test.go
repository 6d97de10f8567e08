package doctor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"turnout/mgmt/doctor"
	"turnout/mgmt/store"
)

// Every check of the desired state must fail once in here.
func TestServices(t *testing.T) {
	check := func(kind store.CheckType, fall int, interval time.Duration) store.HealthCheck {
		return store.HealthCheck{Type: kind, Fall: fall, Interval: store.Duration(interval), Timeout: store.Duration(time.Second)}
	}
	slow, quick := check(store.CheckTCP, 3, 60*time.Second), check(store.CheckICMP, 3, 2*time.Second)
	servers := func(weights ...uint16) (all []store.RealServer) {
		for _, w := range weights {
			all = append(all, store.RealServer{Weight: w})
		}
		return all
	}
	seen := map[string]bool{}
	for _, tt := range []struct {
		name     string
		services doctor.Services
		want     []string
	}{
		{"nothing", doctor.Services{}, nil},
		{"all is well", doctor.Services{State: store.State{Services: []store.Service{
			{Name: "web", HealthChecks: store.HealthChecks{slow, quick}, RealServers: servers(1, 1, 0)},
			{Name: "dns", HealthChecks: store.HealthChecks{{Type: store.CheckNone}}, RealServers: servers(1, 9)},
		}}}, nil},
		{"mistakes and remarks", doctor.Services{
			Mistakes: errors.Join(errors.New("turnout.yaml: one"), errors.New("services.yaml:3: two")), Notes: []string{"three"},
		}, []string{
			"error configuration: turnout.yaml: one => correct it, then: turnout check",
			"error configuration: services.yaml:3: two => correct it, then: turnout check",
			"note remarks: three => change it in services.yaml, or leave it if it is meant",
		}},
		{"too little", doctor.Services{State: store.State{Services: []store.Service{
			{Name: "web", HealthChecks: store.HealthChecks{slow}, RealServers: servers(1, 0)},
			{Name: "dns", HealthChecks: store.HealthChecks{quick}, RealServers: servers(0)},
		}}}, []string{
			"note spare_real_server: web has one real server with a weight => add a real server to web in services.yaml",
			"warning spare_real_server: dns has no real server with a weight => give a real server of dns a weight in services.yaml",
			"note detection: web notices a dead real server after up to 3m1s => lower interval or fall of its health_check in services.yaml",
		}},
	} {
		findings := tt.services.Examine()
		if diff := cmp.Diff(tt.want, problems(t, findings)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		note(seen, findings)
	}
	_, services, _ := doctor.Tables()
	wantAll(t, services, seen)
}

package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"turnout/mgmt/store"
)

func decoded(t *testing.T, yaml string) store.State {
	t.Helper()
	state, err := store.Decode([]byte(yaml), "services.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestPlan(t *testing.T) {
	const before = `services:
  - {name: web, vip: 192.0.2.1, protocol: tcp, port: 80, real_servers: [{address: 192.0.2.11}, {address: 192.0.2.12, weight: 2}]}
  - {name: dns, vip: 192.0.2.1, protocol: udp, port: 53, real_servers: [{address: 192.0.2.11}]}`
	for _, c := range []struct {
		name, after string
		want        []string
	}{
		{"nothing", before, nil},
		{"order alone", `services:
  - {name: dns, vip: 192.0.2.1, protocol: udp, port: 53, real_servers: [{address: 192.0.2.11}]}
  - {name: web, vip: 192.0.2.1, protocol: tcp, port: 80, real_servers: [{address: 192.0.2.12, weight: 2}, {address: 192.0.2.11}]}`, nil},
		{"everything goes", "services: []", []string{"service web is removed", "service dns is removed"}},
		{"keys, real servers and services", `services:
  - {name: web, vip: 192.0.2.1, protocol: tcp, port: 80, scheduler: rr, timeouts: {established: 5m},
     real_servers: [{address: 192.0.2.12, weight: 0, mac: "02:00:00:00:00:12"}, {address: 192.0.2.13}]}
  - {name: ntp, vip: 192.0.2.1, protocol: udp, port: 123, real_servers: [{address: 192.0.2.11}]}`, []string{
			"service dns is removed",
			`service web: scheduler "maglev" becomes "rr"`,
			`service web: timeouts {"established":"15m","syn_received":"1m","fin_wait":"2m","udp":"5m"} becomes ` +
				`{"established":"5m","syn_received":"1m","fin_wait":"2m","udp":"5m"}`,
			"service web, real server 192.0.2.11 is removed",
			"service web, real server 192.0.2.12: weight 2 becomes 0",
			`service web, real server 192.0.2.12: mac "" becomes "02:00:00:00:00:12"`,
			"service web, real server 192.0.2.13 is added; weight: 1",
			"service ntp is added; real servers: 1",
		}},
	} {
		if diff := cmp.Diff(c.want, plan(decoded(t, before), decoded(t, c.after))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

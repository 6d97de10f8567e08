package store

import (
	"fmt"
	"strings"
	"testing"
)

func TestPathProbe(t *testing.T) {
	for _, tt := range []struct {
		service string // protocol, port
		checks  string
		want    string // check's type, L4 port of the probe and of the RIP, whether it counts; empty: no probe
	}{
		{"tcp, port: 80", "", "tcp 80 80 true"},
		{"tcp, port: 80", "{type: none}", ""},
		{"tcp, port: 80", "{type: tcp}", "tcp 80 80 true"},
		{"tcp, port: 80", "{type: tcp, via: rip}", "tcp 80 80 false"},
		{"tcp, port: 80", "{type: http, port: 8080}", "http 80 8080 true"},
		{"tcp, port: 80", "{type: https, via: dr}", "https 80 80 true"},
		{"tcp, port: 80", "{type: icmp}", "icmp 80 80 false"},
		{"tcp, port: 80", "{type: icmp, via: dr}", "icmp 80 80 true"},
		{"tcp, port: 80", "{type: exec, file: a}", "exec 80 80 false"},
		{"tcp, port: 80", "[{type: icmp}, {type: http}]", "http 80 80 true"},
		{"tcp, port: 80", "[{type: icmp}, {type: http, via: rip}]", "icmp 80 80 false"},
		{"tcp, port: 80", "[{type: tcp, port: 81, via: rip}, {type: tcp, port: 82}]", "tcp 80 82 true"},
		{"tcp, port: 0", "{type: tcp, port: 81}", "tcp 81 81 false"},
		{"tcp, port: 0", "{type: tcp, port: 81, via: dr}", "tcp 81 81 true"},
		{"tcp, port: 0", "{type: icmp}", ""},
		{"tcp, port: 0", "{type: icmp, via: dr}", "services[web].health_check.via: dr: there is nothing to ask the VIP"},
		{"udp, port: 53", "{type: dns, query: a.b}", "dns 53 53 false"},
		{"udp, port: 53", "{type: dns, query: a.b, port: 54, via: dr}", "dns 53 54 true"},
		{"udp, port: 53", "[{type: icmp}, {type: dns, query: a.b}]", "dns 53 53 false"},
		{"udp, port: 0", "{type: dns, query: a.b, port: 53}", "dns 53 53 false"},
		{"udp, port: 7", "{type: udp, send: a, reply: true, via: dr}", "udp 7 7 true"},
		{"udp, port: 7", "{type: udp, reply: true}", ""},
		{"udp, port: 7", "{type: udp, send: a}", ""},
		{"tcp, port: 53", "{type: dns, query: a.b}", "dns 53 53 false"},
		{"udp, port: 53", "{type: tcp, port: 53, via: dr}", "services[web].health_check.via: dr: there is nothing to ask the VIP"},
		{"tcp, port: 80", "{type: tcp, via: nat}", `services[web].health_check.via: "nat" is unknown: use rip, dr`},
		{"tcp, port: 80", "{type: none, via: rip}", "services[web].health_check.via: a check of type none has no other key: delete it, or choose another type"},
	} {
		text := "services: [{name: web, vip: 192.168.57.100, protocol: " + tt.service
		if tt.checks != "" {
			text += ", health_check: " + tt.checks
		}
		state, err := Decode([]byte(text+"}]"), "services.yaml")
		if err == nil {
			_, err = state.Validate(testSegment)
		}
		got := ""
		if err != nil {
			got = err.Error()
		} else if p := state.Services[0].PathProbe(); p.Port != 0 {
			got = fmt.Sprint(p.Check.Type, " ", p.Port, " ", p.RIPPort, " ", p.Counts)
		}
		if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s, %s: %s; want %s", tt.service, tt.checks, got, tt.want)
		}
	}
}

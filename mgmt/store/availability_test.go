package store

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// Every key is read into its field.
func TestDecodeAvailability(t *testing.T) {
	got, err := Decode([]byte(web+`    slow_start: 30s
    gradual: 1m
    persistence: 5m
    persistence_prefix: 24
    on_down: keep
    no_real_server: port_unreachable
    strict_tcp: true
    quorum: 3
    hysteresis: 1
    sorry_server: {address: 192.168.57.119, mac: "02:00:00:00:01:19"}
    real_servers: [{address: 192.168.57.121, upper_threshold: 100, lower_threshold: 80}]
`), "services.yaml")
	want := webService()
	want.SlowStart, want.Gradual, want.Persistence = Duration(30*time.Second), Duration(time.Minute), Duration(5*time.Minute)
	want.PersistencePrefix, want.OnDown, want.NoRealServer = 24, OnDownKeep, RefuseUnreachable
	want.Quorum, want.Hysteresis, want.StrictTCP = 3, 1, true
	want.SorryServer = SorryServer{Address: ip(119), MAC: "02:00:00:00:01:19"}
	want.RealServers = []RealServer{{Address: ip(121), Weight: 1, UpperThreshold: 100, LowerThreshold: 80}}
	if err != nil || !reflect.DeepEqual(got, State{Services: []Service{want}}) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestDecodeAvailabilityMistakes(t *testing.T) {
	decodesWrong(t, []mistakesTest{
		{"ramps and watermarks", web + "    slow_start: 30\n    gradual: soon\n    persistence: 1d\n    persistence_prefix: 33\n    on_down: kill\n    no_real_server: reject\n    quorum: 0\n    hysteresis: -1\n    sorry_server: {mac: 1, port: 80}\n", []string{
			`7: services[web].slow_start: 30 has no unit: write a duration such as 30s`,
			`8: services[web].gradual: "soon" is not a duration: write a number and ms, s, m or h, such as 30s or 10m`,
			`9: services[web].persistence: "1d" is not a duration: write a number and ms, s, m or h, such as 30s or 10m`,
			`10: services[web].persistence_prefix: 33 is out of range: 1 to 32`,
			`11: services[web].on_down: "kill" is unknown: use reschedule, keep, drop`,
			`12: services[web].no_real_server: "reject" is unknown: use drop, port_unreachable`,
			`13: services[web].quorum: 0 is out of range: 1 to 4294967295`,
			`14: services[web].hysteresis: -1 is out of range: 0 to 4294967295`,
			`15: services[web].sorry_server.mac: is a number: write text, in quotes: "1"`,
			`15: services[web].sorry_server.port: ` + noPort,
			`15: services[web].sorry_server.address: is missing`,
		}},
		{"thresholds", web + "    real_servers: [{address: 192.168.57.121, upper_threshold: many, lower_threshold: 4294967296}]\n", []string{
			`7: services[web].real_servers[192.168.57.121].upper_threshold: is text: write a whole number`,
			`7: services[web].real_servers[192.168.57.121].lower_threshold: 4294967296 is out of range: 0 to 4294967295`,
		}},
	})
}

func TestValidateAvailability(t *testing.T) {
	sorry := func(addr, mac string) func(s *State) {
		return func(s *State) {
			s.Services[0].SorryServer = SorryServer{Address: netip.MustParseAddr(addr), MAC: mac}
		}
	}
	thresholds := func(upper, lower uint32) func(s *State) {
		return func(s *State) {
			s.Services[0].RealServers[0].UpperThreshold, s.Services[0].RealServers[0].LowerThreshold = upper, lower
		}
	}
	validates(t, []validateTest{
		{"ramps", func(s *State) { s.Services[0].SlowStart, s.Services[0].Gradual = Duration(time.Hour+1), Duration(-1) }, []string{
			"services[web].slow_start: 1h0m0.000000001s is out of range: 0s to 1h",
			"services[web].gradual: -1ns is out of range: 0s to 1h",
		}},
		{"the longest ramps", func(s *State) {
			s.Services[0].SlowStart, s.Services[0].Gradual = Duration(time.Hour), Duration(time.Hour)
		}, nil},
		{"persistence", func(s *State) {
			s.Services[0].Persistence, s.Services[0].PersistencePrefix = Duration(time.Second-1), 0
		}, []string{
			"services[web].persistence: 999.999999ms is out of range: 1s to 24h",
			"services[web].persistence_prefix: 0 is out of range: 1 to 32",
		}},
		{"long persistence", func(s *State) {
			s.Services[0].Persistence, s.Services[0].PersistencePrefix = Duration(24*time.Hour+1), 33
		}, []string{
			"services[web].persistence: 24h0m0.000000001s is out of range: 1s to 24h",
			"services[web].persistence_prefix: 33 is out of range: 1 to 32",
		}},
		{"persistence of one second and one bit", func(s *State) { s.Services[0].Persistence, s.Services[0].PersistencePrefix = Duration(time.Second), 1 }, nil},
		{"what is remembered", func(s *State) { s.Services[0].OnePacket, s.Services[0].Persistence = true, minFlowTimeout }, []string{
			`services[web].one_packet: is for udp services only: the packets of a TCP connection must all find the same real server; delete it`,
			`services[web].one_packet: does not go with persistence, which remembers the client: delete one of them`,
		}},
		{"what is strict", func(s *State) { s.Services[0].Protocol, s.Services[0].StrictTCP = UDP, true }, []string{
			`services[web].strict_tcp: is for tcp services only: there is no SYN in other protocols; delete it`,
		}},
		{"what becomes of flows", func(s *State) { s.Services[0].OnDown, s.Services[0].NoRealServer = "kill", "" }, []string{
			`services[web].on_down: "kill" is unknown: use reschedule, keep, drop`,
			`services[web].no_real_server: "" is unknown: use drop, port_unreachable`,
		}},
		{"no quorum", func(s *State) { s.Services[0].Quorum = 0 }, []string{"services[web].quorum: 0 is out of range: 1 to 4294967295"}},
		{"a quorum that is never lost", func(s *State) { s.Services[0].Quorum, s.Services[0].Hysteresis = 2, 2 }, []string{
			"services[web].hysteresis: 2 is not less than the quorum (2): a quorum is lost below quorum - hysteresis, so it would never be; use at most 1",
		}},
		{"watermarks", func(s *State) { s.Services[0].Quorum, s.Services[0].Hysteresis = 2, 1 }, nil},

		{"a sorry server", sorry("192.168.57.119", "02:00:00:00:01:19"), nil},
		{"a sorry server of another service", func(s *State) {
			withSecond(func(svc *Service) { svc.RealServers[0].Address = ip(119) })(s)
			sorry("192.168.57.119", "")(s)
		}, nil},
		{"a real server as sorry server", sorry("192.168.57.121", ""), []string{
			"services[web].sorry_server.address: 192.168.57.121 is a real server of this service: when the quorum is lost it is likely down itself; choose another host",
		}},
		{"the DIP as sorry server", sorry("192.168.57.120", ""), []string{
			"services[web].sorry_server.address: 192.168.57.120 is the director's own address (DIP): the director cannot be its own real server",
		}},
		{"a sorry server beyond the segment", sorry("192.168.58.119", "zz"), []string{
			"services[web].sorry_server.address: 192.168.58.119 is in no port's subnet: direct routing needs the real server on the director's own segment",
			`services[web].sorry_server.mac: "zz" is not a MAC address, such as "02:00:00:00:01:22"`,
		}},
		{"a sorry server with two MACs", func(s *State) {
			sorry("192.168.57.119", "02:00:00:00:01:19")(s)
			withSecond(func(svc *Service) { svc.RealServers[0] = RealServer{Address: ip(119), MAC: "02:00:00:00:01:20"} })(s)
		}, []string{"services[second].real_servers[192.168.57.119].mac: 192.168.57.119 has the MAC 02:00:00:00:01:19 in another service: write the same one, or none"}},

		{"thresholds", thresholds(2, 1), nil},
		{"an upper threshold alone", thresholds(1, 0), nil},
		{"a lower threshold alone", thresholds(0, 5), []string{
			"services[web].real_servers[192.168.57.121].lower_threshold: 5 stands alone: it tells when a real server that has reached its upper_threshold gets flows again; give that too, or delete this",
		}},
		{"thresholds that are equal", thresholds(5, 5), []string{
			"services[web].real_servers[192.168.57.121].lower_threshold: 5 is not less than upper_threshold (5): write a lower number, or none for three quarters of it",
		}},
	})
}

// Weights that never reach the quorum are noted, not refused.
func TestQuorumNotes(t *testing.T) {
	s := validState()
	s.Services[0].Quorum, s.Services[0].Hysteresis = 2, 1
	s.Services[0].RealServers[0].Weight = 2
	notes, err := s.Validate(testSegment)
	want := []string{"services[web].quorum: the weights of the real servers add up to 2, which never reaches quorum + hysteresis (3): a lost quorum stays lost"}
	if err != nil || !reflect.DeepEqual(notes, want) {
		t.Errorf("notes %q, %v\nwant %q", notes, err, want)
	}
	s.Services[0].RealServers[0].Weight = 3
	if notes, err := s.Validate(testSegment); err != nil || len(notes) != 0 {
		t.Errorf("a quorum that can be reached: notes %q, %v", notes, err)
	}
}

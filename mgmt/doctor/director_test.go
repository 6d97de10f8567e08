package doctor_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"turnout/mgmt/api"
	"turnout/mgmt/doctor"
	"turnout/mgmt/probe"
	"turnout/mgmt/store"
)

// healthy is a director with which all is well, and which has lost frames before.
func healthy() doctor.Reading {
	address := netip.MustParseAddr
	return doctor.Reading{
		Status: api.Status{
			Generation: 7, LastApplySuccessful: true, Role: api.RoleActive, Ready: true,
			VIPs:  []api.VIP{{Address: address("192.168.57.100"), State: "announced"}},
			Books: api.Books{Rx: 100, Drops: map[string]uint64{"punt_limited": 5, "punt_full": 0, "no_service": 9}, Balanced: true},
		},
		Services: api.ServiceList{Services: []api.Service{{
			Service: store.Service{Name: "web", Port: 80, Quorum: 1},
			Live: api.ServiceLive{Quorum: true, UsableWeight: 2, RealServers: []api.RealServerLive{
				{Address: address("192.168.57.121"), State: "up"}, {Address: address("192.168.57.122"), State: "draining"},
			}},
		}}},
		Ports:  api.PortList{Ports: []api.Port{{Name: "lan", KernelInterface: "dip0", RxMissed: 3, RxNoMbuf: 4, TxDropped: 5}}},
		Lcores: api.LcoreList{Lcores: []api.Lcore{{Lcore: 1, Busy: 0.9, FlowEntries: 900, FlowCapacity: 1000, FlowEvictions: 6, FlowFull: 7}}},
		Neighbours: api.NeighbourList{Neighbours: []api.Neighbour{
			{Address: address("192.168.57.121"), MAC: "02:00:00:00:01:21"}, {Address: address("192.168.57.122"), MAC: "02:00:00:00:01:22"},
			{Address: address("192.168.57.123")}, {Address: address("192.168.57.124")},
		}},
	}
}

// Every check of a director must fail once in here.
func TestDirector(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range []struct {
		name   string
		change func(before, now *doctor.Reading)
		want   []string
	}{
		{"all is well", func(_, _ *doctor.Reading) {}, nil},
		{"none", func(before, _ *doctor.Reading) { *before = doctor.Reading{} }, []string{
			"note director: nobody listens => turnout run -c turnout.yaml",
		}},
		{"not ready, refused, standby", func(_, now *doctor.Reading) {
			now.Status.NotReady = []string{"the link of port lan is down"}
			now.Status.LastApplySuccessful, now.Status.Role = false, api.RoleStandby
		}, []string{
			"error ready: the link of port lan is down => turnout status",
			"error last_apply: the last change was refused, generation 7 is still in force => turnout check",
			"note role: the director is standby for all VIPs => turnout role active",
		}},
		{"a real server leaks the VIP", func(_, now *doctor.Reading) {
			now.Status.Conflicts = []api.Conflict{{VIP: true, Text: "a real server claims the VIP", Mend: "turnout realserver"}}
		}, []string{"error vip_conflict: a real server claims the VIP => turnout realserver"}},
		{"two machines have a real server's address", func(_, now *doctor.Reading) {
			now.Status.Conflicts = []api.Conflict{{Text: "another machine claims it", Mend: "tcpdump"}}
		}, []string{"error duplicate_addresses: another machine claims it => tcpdump"}},
		{"real servers that are out", func(_, now *doctor.Reading) {
			live := &now.Services.Services[0].Live
			live.Quorum, live.UsableWeight = false, 0
			live.RealServers[0].State, live.RealServers[0].Health.LastError = "down", "connection refused"
			live.RealServers[1].State = "no_mac"
		}, []string{
			"error quorum: web has a usable weight of 0, its quorum is 1 => turnout real-servers",
			"warning real_servers: web: 192.168.57.121 is down: connection refused => ssh root@192.168.57.121 ss -lntu sport = :80    # does it listen?",
			"warning real_servers: web: 192.168.57.122 does not answer ARP => ping -c 3 192.168.57.122",
		}},
		{"a real server that was never up", func(_, now *doctor.Reading) {
			now.Services.Services[0].Live.RealServers[0].State = "down"
		}, []string{
			"warning real_servers: web: 192.168.57.121 is down: it has not passed its checks yet => ssh root@192.168.57.121 ss -lntu sport = :80    # does it listen?",
		}},
		{"the way to a real server is broken", func(_, now *doctor.Reading) {
			now.Services.Services[0].Live.RealServers[0].Diagnosis = &api.Diagnosis{
				Diagnosis: probe.ServiceNotOnVIP, Why: "nobody listens", Mend: []string{"ss -lnt", "and so on"},
			}
		}, []string{
			"warning real_servers: web: 192.168.57.121 is up: service_not_on_vip: nobody listens => ss -lnt",
		}},
		{"two real servers, one MAC", func(_, now *doctor.Reading) {
			now.Neighbours.Neighbours[1].MAC = "02:00:00:00:01:21"
		}, []string{
			"warning duplicate_macs: 192.168.57.121 and 192.168.57.122 have the same MAC 02:00:00:00:01:21 => arping -I dip0 192.168.57.122",
		}},
		{"lcores at their end", func(_, now *doctor.Reading) {
			now.Lcores.Lcores[0] = api.Lcore{Lcore: 1, Busy: 0.91, FlowEntries: 901, FlowCapacity: 1000, FlowEvictions: 16, FlowFull: 27}
		}, []string{
			"warning flow_tables: the table of lcore 1 has 901 flows of 1000 => set flow_table.entries: 2000 in turnout.yaml and restart",
			"warning flow_tables: lcore 1 pushed out 10 live flows in a second => set flow_table.entries: 2000 in turnout.yaml and restart",
			"warning flow_tables: lcore 1 forwarded 20 flows without an entry in a second => set flow_table.entries: 2000 in turnout.yaml and restart",
			"warning lcores_busy: lcore 1 is busy for 91 % of the time => add a CPU to dpdk.lcores in turnout.yaml and restart",
		}},
		{"frames that are lost", func(_, now *doctor.Reading) {
			now.Ports.Ports[0].RxMissed, now.Ports.Ports[0].RxNoMbuf, now.Ports.Ports[0].TxDropped = 13, 24, 35
			now.Status.Books.Drops = map[string]uint64{"punt_limited": 6, "punt_full": 2, "no_service": 10}
		}, []string{
			"warning port_loss: port lan: 10 frames in a second found the receive ring full => add a CPU to dpdk.lcores in turnout.yaml and restart",
			"warning port_loss: port lan: 20 frames in a second found no mbuf => raise dpdk.memory_mb in turnout.yaml and restart",
			"warning port_loss: port lan: 30 frames in a second found the transmit ring full => raise ports[].tx_descriptors in turnout.yaml and restart",
			"warning punt_loss: 2 frames in a second were dropped as punt_full => turnout drops --watch",
			"warning punt_loss: 1 frames in a second were dropped as punt_limited => turnout drops --watch",
		}},
		{"a director that was started anew in between", func(before, _ *doctor.Reading) {
			before.Lcores.Lcores[0].FlowEvictions = 1000
			before.Status.Books.Drops = map[string]uint64{"punt_limited": 1000}
		}, nil},
		{"books while frames come", func(_, now *doctor.Reading) { now.Status.Books = api.Books{Rx: 101} }, nil},
		{"books while it is quiet", func(_, now *doctor.Reading) { now.Status.Books.Balanced = false }, []string{
			"error books: the books do not balance, and no frame came for a second => turnout status -o json",
		}},
	} {
		d := doctor.Director{Before: healthy(), Now: healthy()}
		if tt.change(&d.Before, &d.Now); d.Before.Status.Generation == 0 {
			d.Err = errors.New("nobody listens")
		}
		findings := d.Examine()
		if diff := cmp.Diff(tt.want, problems(t, findings)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		note(seen, findings)
	}
	_, _, director := doctor.Tables()
	wantAll(t, director, seen)
}

// A director is asked for all that a Reading has.
func TestRead(t *testing.T) {
	want := healthy()
	answers := map[string]any{
		"/v1/status": want.Status, "/v1/services": want.Services, "/v1/ports": want.Ports, "/v1/lcores": want.Lcores, "/v1/neighbours": want.Neighbours,
	}
	got, err := doctor.Read(func(path string, v any) error {
		text, err := json.Marshal(answers[path])
		return errors.Join(err, json.Unmarshal(text, v))
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	broken := errors.New("broken")
	if _, err := doctor.Read(func(string, any) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a director that does not answer: %v", err)
	}
}

func TestReportCounts(t *testing.T) {
	r := doctor.NewReport([]doctor.Finding{{Severity: doctor.OK}, {Severity: doctor.Error}, {Severity: doctor.Warning}, {Severity: doctor.Note}, {Severity: doctor.Error}})
	if r.Errors != 2 || r.Warnings != 1 || len(r.Findings) != 5 {
		t.Errorf("%+v", r)
	}
}

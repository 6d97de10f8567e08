package main

import (
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
	"turnout/mgmt/probe"
	"turnout/mgmt/store"
)

// mustPrint runs commands one after the other and returns what the last one prints.
func mustPrint(t *testing.T, server string, commands ...string) (printed string) {
	t.Helper()
	for _, command := range commands {
		var err error
		if printed, err = turnout(append(strings.Fields(command), "--server", server)...); err != nil {
			t.Fatalf("turnout %s: %v", command, err)
		}
	}
	return printed
}

func TestDrains(t *testing.T) {
	server := serveDirector(t, apitest.New())
	drained := mustPrint(t, server, "drain web 192.168.57.121 --deadline 10m --then reschedule", "drain web 192.168.57.122", "drains")
	compareGolden(t, filepath.Join("testdata", "drains.txt"), drained)
	compareGolden(t, filepath.Join("testdata", "real-servers-draining.txt"), mustPrint(t, server, "real-servers"))
	left := mustPrint(t, server, "undrain web 192.168.57.121", "drains")
	if strings.Contains(left, "192.168.57.121") || !strings.Contains(left, "192.168.57.122") {
		t.Errorf("after undrain of 192.168.57.121:\n%s", left)
	}
}

func TestRollback(t *testing.T) {
	d := apitest.New()
	server := serveDirector(t, d)
	mustPrint(t, server, "apply -f "+writeServices(t, servicesYAML))
	compareGolden(t, filepath.Join("testdata", "generations-two.txt"), mustPrint(t, server, "generations"))
	compareGolden(t, filepath.Join("testdata", "rollback-dry-run.txt"), mustPrint(t, server, "rollback 7 --dry-run"))
	if d.State().Services[0].Name != "dns" {
		t.Errorf("rollback --dry-run changed the director: %v", d.State())
	}
	compareGolden(t, filepath.Join("testdata", "rollback.txt"), mustPrint(t, server, "rollback 7"))
	if d.State().Services[0].Name != "web" {
		t.Errorf("rollback did not change the director: %v", d.State())
	}
}

// A plan tells all that a change does to traffic.
func TestPlan(t *testing.T) {
	d := apitest.New()
	d.Plan = api.Applied{
		Slots: []api.MovedSlots{{Service: "web", Moved: 655, Slots: 65537, Percent: 0.99943543}},
		Flows: []api.MovedFlows{{Service: "web", Rescheduled: 12, Live: 84}, {Service: "dns", Ended: 3, Live: 3}},
		Notes: []string{"the VIP is outside every port's subnet"},
	}
	got := mustPrint(t, serveDirector(t, d), "apply --dry-run -f "+writeServices(t, servicesYAML))
	compareGolden(t, filepath.Join("testdata", "apply-dry-run.txt"), got)
}

// trouble is a service in every state that a table has to tell.
func trouble() api.ServiceList {
	address := netip.MustParseAddr
	rs := func(last string, state string) api.RealServerLive {
		return api.RealServerLive{Address: address("192.168.57." + last), Weight: 4, State: state, Share: 1, Health: api.Health{Up: state != "down"}}
	}
	slow := rs("121", "up")
	slow.Share = 0.25
	drained, over, empty := rs("122", "draining"), rs("126", "draining"), rs("127", "draining")
	drained.Drain = &api.DrainLive{Drain: api.Drain{Then: api.ThenKeep}, Since: apitest.Now, Flows: 7, FlowsAtStart: 9}
	over.Drain = &api.DrainLive{Drain: api.Drain{Then: api.ThenDrop}, Since: apitest.Now, EndsAt: &apitest.Now, Flows: 7, FlowsAtStart: 9, Over: true}
	empty.Drain = &api.DrainLive{Drain: api.Drain{Then: api.ThenKeep}, Since: apitest.Now, FlowsAtStart: 9, Empty: true, Over: true}
	sorry, dead, lost := rs("110", "up"), rs("111", "down"), rs("124", "down")
	lost.Diagnosis = &api.Diagnosis{Diagnosis: probe.VIPNotOnRealServer, Why: "it is no address", Mend: []string{"ip address add", "ip address show"}}
	web := api.Service{Live: api.ServiceLive{
		UsableWeight: 1, SorryServer: &sorry,
		RealServers: []api.RealServerLive{slow, drained, rs("123", "overloaded"), lost, rs("125", "no_mac"), over, empty},
	}}
	web.Name, web.VIP, web.Protocol, web.Scheduler, web.Quorum, web.Hysteresis = "web", address("192.168.57.100"), "tcp", "wlc", 8, 2
	web.RealServers = make([]store.RealServer, len(web.Live.RealServers))
	dns, quiet := web, web
	dns.Name, dns.Live = "dns", api.ServiceLive{Quorum: true, SorryServer: &dead}
	quiet.Name, quiet.Live = "quiet", api.ServiceLive{Quorum: true, SorryServer: &sorry}
	return api.ServiceList{Services: []api.Service{web, dns, quiet}}
}

func TestTablesOfTrouble(t *testing.T) {
	for name, view := range map[string]func(*table, api.ServiceList){
		"services": servicesTable, "real-servers": realServersTable, "drains": drainsTable,
	} {
		plain, coloured := newTable(screen{}), newTable(screen{colours: true})
		view(plain, trouble())
		view(coloured, trouble())
		compareGolden(t, filepath.Join("testdata", name+"-trouble.txt"), plain.text())
		compareGolden(t, filepath.Join("testdata", name+"-trouble-coloured.txt"), strings.ReplaceAll(coloured.text(), "\x1b", "ESC"))
	}
}

func TestGenerationThatCannotBeRead(t *testing.T) {
	table := newTable(screen{})
	generationsTable(table, api.GenerationList{Generations: []api.Generation{{Generation: 3, Saved: apitest.Now, Services: -1}}})
	if got := table.text(); !strings.Contains(got, "its file cannot be read") {
		t.Error(got)
	}
}

// root may open every socket, so no command can be refused here.
func TestPermissionIsNamed(t *testing.T) {
	c := &client{server: defaultServer}
	for _, err := range []error{fs.ErrPermission, syscall.EACCES} {
		got := c.unreachable(errors.Join(errors.New("dial"), err)).Error()
		if want := "no permission to open unix:/run/turnout.sock: be root, or a member of mgmt.socket_group"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"turnout/mgmt/api/apitest"
	"turnout/mgmt/doctor"
)

// runDoctor runs the command on this host. It fails where it finds errors, so it counts as exercised all the same.
func runDoctor(t *testing.T, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"doctor"}, args...)
	exercised.note(args)
	return turnout(args...)
}

func TestDoctorAsksARunningDirector(t *testing.T) {
	d := apitest.New()
	d.NotReady = []string{"port lan has no link"}
	out, err := runDoctor(t, "-o", "json", "-c", writeConfig(t), "--server", serveDirector(t, d))
	if err == nil || exitCode(err) != exitFailed || !strings.HasPrefix(err.Error(), "doctor: errors found: ") {
		t.Errorf("errors are found: %v", err)
	}
	var report doctor.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for check, want := range map[string]doctor.Finding{
		"director":          {Severity: doctor.OK, Found: "a director answers"},
		"ready":             {Severity: doctor.Error, Found: "port lan has no link"},
		"vip_conflict":      {Severity: doctor.Error, Found: "real server 192.168.57.122 (02:00:00:00:01:22) claims VIP 192.168.57.101: arp_ignore or arp_announce is not set there"},
		"real_servers":      {Severity: doctor.Warning, Found: "web: 192.168.57.122 is down: connect to 192.168.57.122:80: connection refused"},
		"configuration":     {Severity: doctor.OK, Found: "turnout.yaml and services.yaml have no mistakes"},
		"spare_real_server": {Severity: doctor.Note, Found: "dns has one real server with a weight"},
	} {
		i := slices.IndexFunc(report.Findings, func(f doctor.Finding) bool { return f.Check == check })
		if i < 0 || report.Findings[i].Severity != want.Severity || report.Findings[i].Found != want.Found {
			t.Errorf("%s: want %s %q, in:\n%s", check, want.Severity, want.Found, out)
		}
	}
}

func TestDoctorWithoutADirector(t *testing.T) {
	file := filepath.Join(t.TempDir(), "turnout.yaml")
	out, err := runDoctor(t, "-c", file, "--server", "unix:"+file+".sock")
	if err == nil {
		t.Error("a missing turnout.yaml is no error")
	}
	for _, want := range []string{
		"error   configuration       " + file + " does not exist",
		"          mend              correct it, then: turnout check",
		"note    director            cannot reach the director at unix:" + file + ".sock",
		"ok      spare_real_server   every service has at least two real servers with a weight",
	} {
		if !strings.Contains(out, "\n"+want) {
			t.Errorf("want %q in:\n%s", want, out)
		}
	}
}

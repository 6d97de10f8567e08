package e2e

import (
	"encoding/json"
	"os/exec"
	"testing"

	"turnout/mgmt/doctor"
)

// doctor runs turnout doctor where the director is.
func (d *director) doctor() (report doctor.Report, failed bool) {
	d.t.Helper()
	cmd := exec.Command(executable, "doctor", "-o", "json", "-c", d.file("turnout.yaml"), "--server", "unix:"+d.socket())
	var out []byte
	err := d.host.do(func() (err error) {
		out, err = cmd.Output()
		return err
	})
	if bad := json.Unmarshal(out, &report); bad != nil {
		d.t.Fatalf("%v, %v: %s", err, bad, out)
	}
	return report, err != nil
}

// find is the first finding of a check.
func find(r doctor.Report, check string) doctor.Finding {
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	return doctor.Finding{}
}

// The doctor finds no error on a director that works; what is broken then it names with the command that mends it.
func TestDoctor(t *testing.T) {
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	if report, failed := d.doctor(); failed || report.Errors > 0 || find(report, "director").Severity != doctor.OK {
		t.Errorf("a director that works: %+v", report)
	}
	for _, broken := range []struct{ by, check, found string }{
		{
			"address add 192.168.57.100/32 dev lo", "vip_on_host",
			"the VIP 192.168.57.100 is held by the director's kernel, as 192.168.57.100/32 on lo",
		},
		{
			"link add spare type veth peer name spare2\naddress add 192.168.57.77/24 dev spare\nlink set spare up", "arp_flux",
			"interface spare has the address 192.168.57.77/24 in the DIP's subnet 192.168.57.0/24, and traffic to real servers would bypass the port",
		},
	} {
		d.ip(broken.by)
		report, failed := d.doctor()
		got := find(report, broken.check)
		if !failed || got.Severity != doctor.Error || got.Found != broken.found {
			t.Errorf("%s: %+v", broken.by, report)
		}
		if _, err := d.host.run("sh", "-c", got.Mend); err != nil {
			t.Error(err)
		}
		if report, failed := d.doctor(); failed {
			t.Errorf("after %s: %+v", got.Mend, report)
		}
	}
	d.ip("link del spare")
}

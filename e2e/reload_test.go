package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"turnout/mgmt/store"
)

func (d *director) hangup() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		d.t.Fatal(err)
	}
}

// reload puts other services in force.
func (d *director) reload(services string) {
	d.t.Helper()
	before := d.status().Generation
	d.write("services.yaml", services)
	d.hangup()
	eventually(d.t, 5*time.Second, "a new generation is in force", func() bool { return d.status().Generation > before })
}

func TestHangupAppliesValidEditsAndRefusesBadOnesWhole(t *testing.T) {
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	load := d.segment.startLoad(t, 4, 5*time.Millisecond, webURL)

	d.reload(strings.Replace(web, "{address: 192.168.57.121}", "{address: 192.168.57.121, weight: 7}", 1))
	if got := d.service("web").Live.RealServers[0].Weight; got != 7 {
		t.Errorf("after the edit the weight is %d, want 7", got)
	}

	before := d.status()
	bad := strings.Replace(web, "{address: 192.168.57.122}", "{address: 192.168.57.122, wieght: 2}", 1) + "  - {name: second, vip: 192.168.57.101, protocol: tcp, port: 81}\n"
	d.write("services.yaml", bad)
	d.hangup()
	eventually(t, 5*time.Second, "the edit is refused", func() bool { return !d.status().LastApplySuccessful })
	line := 1 + strings.Count(bad[:strings.Index(bad, "wieght")], "\n")
	if place := fmt.Sprintf("services.yaml:%d: ", line); !strings.Contains(d.log(), place) || !strings.Contains(d.log(), `did you mean \"weight\"`) {
		t.Errorf("the log does not name the mistake at %q", place)
	}
	after := d.status()
	if after.Generation != before.Generation || len(after.VIPs) != 1 || !after.Ready {
		t.Errorf("after a refused edit: generation %d, VIPs %v, ready %v; want it all as before, generation %d", after.Generation, after.VIPs, after.Ready, before.Generation)
	}
	err := d.call(http.MethodPut, realServerPath("web", d.segment.servers[0].address), store.RealServer{Address: d.segment.servers[0].address, Weight: 1}, nil)
	if err == nil || !strings.Contains(err.Error(), "409") {
		t.Errorf("a change by the API over an edit that is not in force: %v, want 409", err)
	}

	d.reload(web)
	if got := d.status(); !got.LastApplySuccessful {
		t.Error("after a good edit the last apply is still said to have failed")
	}
	wantNoFailure(t, load.stop())
}

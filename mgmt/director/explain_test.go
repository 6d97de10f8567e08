package director

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"turnout/mgmt/api"
	"turnout/mgmt/store"
)

func TestExplain(t *testing.T) {
	d, w, _ := start(t, servicesFile)
	ask := func(protocol store.Protocol, dst string) api.Explanation {
		t.Helper()
		x, err := d.Explain(context.Background(), api.ExplainQuery{
			Protocol: protocol, Source: netip.MustParseAddrPort("192.0.2.7:40000"), Destination: netip.MustParseAddrPort(dst),
		})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	eventually(t, "the lcore knows the service", func() bool { return ask(store.TCP, "192.168.57.100:80").Service == "web" })
	if x := ask(store.TCP, "192.168.57.100:80"); x.Verdict != "drop" || x.Reason != "no_real_server" || x.Rule != "none" {
		t.Errorf("all down: %+v", x)
	}
	w.bringUp(d, "web", rs122)
	wantStates(t, d, "121 down, 122 up")
	eventually(t, "the lcore knows of it", func() bool { return ask(store.TCP, "192.168.57.100:80").Verdict == "forward" })
	x := ask(store.TCP, "192.168.57.100:80")
	if x.RealServer != rs122 || x.MAC != "02:00:00:00:01:7a" || x.State != "up" || x.Rule != "scheduled" || x.Packet != "syn" ||
		x.Positions != 65537 || x.Position == nil || x.NextState != "syn_received" || x.Flow != nil {
		t.Errorf("one up: %+v", x)
	}
	if text := strings.Join(x.Why, "\n"); !strings.Contains(text, "belongs to service web") || !strings.Contains(text, "goes to real server 192.168.57.122") {
		t.Errorf("why:\n%s", text)
	}
	if x := ask(store.TCP, "192.168.57.100:81"); x.Reason != "no_service" || x.Service != "" {
		t.Errorf("a port without a service: %+v", x)
	}
	if x := ask(store.UDP, "192.168.57.120:53"); x.Verdict != "punt" || x.Kind != "dip" || x.Packet != "datagram" {
		t.Errorf("to the DIP: %+v", x)
	}
	if n := d.Services().Services[0].Live; n.Connections != 0 || n.Packets != 0 {
		t.Errorf("explaining was counted: %+v", n)
	}
}

package director

import (
	"net/netip"
	"strings"
	"testing"

	"turnout/flowtable"
	"turnout/mgmt/api"
)

func TestPersistenceIsShown(t *testing.T) {
	d, w, _ := start(t, strings.Replace(servicesFile, "port: 80\n", "port: 80\n    persistence: 5m\n    persistence_prefix: 24\n", 1))
	templates, err := flowtable.NewTemplates(16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := templates.Close(); err != nil {
			t.Error(err)
		}
	})
	w.bringUp(d, "web", rs121, rs122)
	wantStates(t, d, "121 up, 122 up")
	d.config.Templates = templates
	v := d.view.Load()
	if got := d.Persistence(api.PersistenceQuery{Limit: 10}).Templates; len(got) != 0 {
		t.Fatalf("none are made, but there are %v", got)
	}
	for id, names := range v.flows {
		for slot := range names.slots {
			client := flowtable.ClientOf(id, 0xc0000207+uint32(slot)<<8, 24) // 192.0.2.7, 192.0.3.7
			templates.Bind(client, flowtable.NoSlot, uint16(slot), d.tick())
		}
	}
	all := d.Persistence(api.PersistenceQuery{Limit: 10})
	if len(all.Templates) != 2 || all.Truncated {
		t.Fatalf("%+v; want two", all)
	}
	one := d.Persistence(api.PersistenceQuery{Limit: 10, Client: netip.MustParseAddr("192.0.3.99")}).Templates
	if len(one) != 1 || one[0].Client.String() != "192.0.3.0/24" || one[0].RealServer != rs122 || one[0].Service != "web" {
		t.Errorf("%+v; want that of 192.0.3.0/24 on 192.168.57.122", one)
	}
	if page := d.Persistence(api.PersistenceQuery{Limit: 1}); len(page.Templates) != 1 || !page.Truncated {
		t.Errorf("%+v; want one of two", page)
	}
	if page := d.Persistence(api.PersistenceQuery{Limit: 10, RealServer: rs121}); len(page.Templates) != 1 {
		t.Errorf("%+v; want that of one real server", page)
	}
}

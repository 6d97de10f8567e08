package director

import (
	"net/netip"

	"turnout/flowtable"
	"turnout/mgmt/api"
)

// Persistence is that of api.Director.
func (d *Director) Persistence(q api.PersistenceQuery) api.PersistencePage {
	page := api.PersistencePage{Templates: []api.Template{}}
	if d.config.Templates == nil {
		return page
	}
	v, now := d.view.Load(), d.tick()
	for t := range d.config.Templates.All(now) {
		described, ok := v.template(&t, now)
		if !ok || !asked(&q, &described) {
			continue
		}
		if page.Truncated = len(page.Templates) == q.Limit; page.Truncated {
			break
		}
		page.Templates = append(page.Templates, described)
	}
	return page
}

// template tells of a template in the API's words; one whose service is gone is none.
func (v *view) template(t *flowtable.Template, now uint32) (described api.Template, ok bool) {
	id := t.Client.Service()
	svc := v.service(int(id))
	if svc == nil {
		return described, false
	}
	described = api.Template{
		Service: svc.Name, Client: netip.PrefixFrom(address(t.Client.Network()), int(svc.PersistencePrefix)), Flows: int(t.Flows),
		ExpiresSecond: float64(t.Expiry-now) / flowtable.TicksPerSecond,
	}
	if t.Slot != flowtable.NoSlot {
		described.RealServer = v.flows[id].real(t.Slot)
	}
	return described, true
}

func asked(q *api.PersistenceQuery, t *api.Template) bool {
	return (q.Service == "" || q.Service == t.Service) &&
		(!q.RealServer.IsValid() || q.RealServer == t.RealServer) &&
		(!q.Client.IsValid() || t.Client.Contains(q.Client))
}

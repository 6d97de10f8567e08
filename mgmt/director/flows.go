package director

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/mgmt/api"
)

// flowsPerRequest is how many flows an lcore copies before the asker looks at them.
const flowsPerRequest = 4096

// askInterval is how often an asker looks whether the lcore has answered.
const askInterval = 200 * time.Microsecond

var errLcoreSilent = errors.New("an lcore does not answer: is its CPU stolen by another program? see turnout lcores")

// Flows is that of api.Director. The lcores go on forwarding meanwhile; a flow that moves within its table may be listed
// twice or not at all.
func (d *Director) Flows(ctx context.Context, q api.FlowQuery) (api.FlowPage, error) {
	page := api.FlowPage{Flows: []api.Flow{}}
	v := d.view.Load()
	err := d.walk(ctx, func(lcore uint, f *flowtable.Flow, now uint32) bool {
		described, ok := describe(lcore, v, f, now)
		if !ok || !matches(q, &described) {
			return true
		}
		if page.Truncated = len(page.Flows) == q.Limit; page.Truncated {
			return false
		}
		page.Flows = append(page.Flows, described)
		return true
	})
	return page, err
}

// walk has every flow of every lcore looked at, expired ones included, until visit answers false.
func (d *Director) walk(ctx context.Context, visit func(lcore uint, f *flowtable.Flow, now uint32) bool) error {
	for _, l := range d.config.Lcores {
		if more, err := walkLcore(ctx, l, visit); err != nil || !more {
			return err
		}
	}
	return nil
}

// walkLcore asks an lcore for its flows, a request at a time.
func walkLcore(ctx context.Context, l Lcore, visit func(uint, *flowtable.Flow, uint32) bool) (more bool, err error) {
	out := make([]flowtable.Flow, flowsPerRequest)
	for cursor, last := uint64(0), false; !last; {
		r := &lcore.Request{Out: out, Cursor: cursor}
		if err := answered(ctx, l.Worker, r); err != nil {
			return false, err
		}
		for i := range r.Out[:r.N] {
			if !visit(l.ID, &r.Out[i], r.Now) {
				return false, nil
			}
		}
		cursor, last = r.Cursor, r.Last
	}
	return true, nil
}

// answered puts a request to an lcore and waits for the answer.
func answered(ctx context.Context, w *lcore.Worker, r *lcore.Request) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for asked := w.Ask(r); !asked || !r.Done(); asked = asked || w.Ask(r) {
		select {
		case <-time.After(askInterval):
		case <-ctx.Done():
			return errors.Join(errLcoreSilent, ctx.Err())
		}
	}
	return nil
}

// describe tells of a flow in the API's words. A flow that has expired, or whose service is gone, is none.
func describe(lcore uint, v *view, f *flowtable.Flow, now uint32) (api.Flow, bool) {
	names := v.flows[f.Service]
	if names == nil || f.Expired(now) {
		return api.Flow{}, false
	}
	return api.Flow{
		Lcore: lcore, Service: names.key.name, Protocol: names.key.protocol,
		Client: netip.AddrPortFrom(address(f.Client), f.ClientPort), VIP: netip.AddrPortFrom(names.key.vip, f.VIPPort),
		RealServer: names.real(f.Slot), State: f.State.String(),
		AgeSeconds:    float64(f.Age(now)) / 1000,
		ExpiresSecond: float64(f.Expiry-now) / flowtable.TicksPerSecond,
	}, true
}

func matches(q api.FlowQuery, f *api.Flow) bool {
	return (q.Service == "" || q.Service == f.Service) &&
		(!q.RealServer.IsValid() || q.RealServer == f.RealServer) &&
		(!q.Client.IsValid() || q.Client == f.Client.Addr())
}

// address is the opposite of ipv4.
func address(v uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

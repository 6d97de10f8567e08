package director

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"turnout/lcore"
	"turnout/mgmt/api"
)

const (
	captureRoom     = 1024                   // frames that wait on an lcore, at most: 3 MiB
	captureInterval = 5 * time.Millisecond   // how often they are taken: room for 200,000 a second
	captureWait     = 100 * time.Millisecond // how long Next waits for any
)

// capture is that of api.Capture.
type capture struct {
	director *Director
	rings    []*lcore.Capture // by lcore
	left     int
	end      time.Time
	frame    lcore.CapturedFrame // the latest; large
}

// Capture is that of api.Director.
func (d *Director) Capture(q api.CaptureQuery) (api.Capture, error) {
	service, client := -1, uint32(0)
	if q.Service != "" {
		var ok bool
		if service, ok = d.view.Load().idOf(q.Service); !ok {
			return nil, fmt.Errorf("service %q: %w", q.Service, api.ErrNotFound)
		}
	}
	if q.Client.IsValid() {
		client = ipv4(q.Client)
	}
	if !d.capturing.CompareAndSwap(false, true) {
		return nil, api.ErrCapturing
	}
	c := &capture{director: d, left: q.Count, end: time.Now().Add(q.Limit)}
	room := min(captureRoom, 1<<bits.Len(uint(q.Count-1)))
	for _, l := range d.config.Lcores {
		ring := lcore.NewCapture(service, client, q.Count, room)
		c.rings = append(c.rings, ring)
		l.Capture(ring)
	}
	return c, nil
}

// Close is that of api.Capture.
func (c *capture) Close() {
	for _, l := range c.director.config.Lcores {
		l.Capture(nil)
	}
	c.director.capturing.Store(false)
}

// Missed is that of api.Capture.
func (c *capture) Missed() (sum uint64) {
	for _, ring := range c.rings {
		sum += ring.Missed()
	}
	return sum
}

// Next is that of api.Capture.
func (c *capture) Next(ctx context.Context) (packets []api.Packet, more bool) {
	for until := time.Now().Add(captureWait); len(packets) == 0 && time.Now().Before(until); {
		last := len(c.rings) == 0 || !time.Now().Before(c.end)
		if packets = c.take(); last || c.left == 0 {
			return packets, false
		}
		select {
		case <-time.After(captureInterval):
		case <-ctx.Done():
			return packets, false
		}
	}
	return packets, true
}

// take empties the rings, as far as more frames are wanted.
func (c *capture) take() (packets []api.Packet) {
	v, at := c.director.view.Load(), c.director.tsc.times()
	for i, ring := range c.rings {
		for range captureRoom { // no more than that at once, however fast they come
			if c.left == 0 || !ring.Take(&c.frame) {
				break
			}
			c.left--
			packets = append(packets, c.packets(v, c.director.config.Lcores[i].ID, at(c.frame.TSC))...)
		}
	}
	slices.SortStableFunc(packets, func(a, b api.Packet) int { return a.Time.Compare(b.Time) })
	return packets
}

// packets are the latest frame before and after its rewrite.
func (c *capture) packets(v *view, id uint, at time.Time) []api.Packet {
	f, names := &c.frame, v.flows[c.frame.Service]
	told := fmt.Sprintf("lcore %d, service %s", id, names.serviceAt(f.Epoch))
	flow := "not remembered"
	if f.Known {
		flow = f.State.String()
	}
	forwarded := fmt.Sprintf("forwarded: real server %s, %s, flow %s", names.realAt(f.Slot, f.Epoch), told, flow)
	return []api.Packet{
		{Time: at, Data: slices.Clone(f.Before()), Length: int(f.Length), Comment: "received: " + told},
		{Time: at, Data: slices.Clone(f.After()), Length: int(f.Length), Comment: forwarded, Sent: true},
	}
}

// idOf is the id of a configured service.
func (v *view) idOf(name string) (id int, ok bool) {
	for _, svc := range v.services {
		for id, names := range v.flows {
			if svc.Name == name && names.key == keyOf(&svc.Service) {
				return int(id), true
			}
		}
	}
	return 0, false
}

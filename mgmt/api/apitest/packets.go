package apitest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"turnout/mgmt/api"
)

// received is an ARP request that the made-up director has seen.
var received = []byte{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 1, 0x35, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1,
	2, 0, 0, 0, 1, 0x35, 192, 168, 57, 135, 0, 0, 0, 0, 0, 0, 192, 168, 57, 100,
}

// Dropped implements api.Director: a frame was dropped for reason no_service, none for loop, and there are no other reasons.
func (d *Director) Dropped(reason string) ([]api.Packet, error) {
	switch reason {
	case "no_service":
		return []api.Packet{{Time: Now, Data: received, Length: 1514, Comment: "dropped: no_service, lcore 1"}}, nil
	case "loop":
		return nil, nil
	}
	return nil, fmt.Errorf("reason %q: %w", reason, api.ErrNotFound)
}

// Capture implements api.Director: one frame comes, and another one a moment later.
func (d *Director) Capture(q api.CaptureQuery) (api.Capture, error) {
	if q.Service != "" && q.Service != "web" {
		return nil, fmt.Errorf("service %q: %w", q.Service, api.ErrNotFound)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.CaptureError != nil {
		return nil, d.CaptureError
	}
	d.Captured = append(d.Captured, q)
	return &capture{left: min(q.Count, 2)}, nil
}

type capture struct{ left int }

func (c *capture) Next(context.Context) ([]api.Packet, bool) {
	at := Now.Add(time.Duration(c.left) * -time.Second)
	c.left--
	sent := slices.Concat([]byte{2, 0, 0, 0, 1, 0x21, 2, 0, 0, 0, 1, 0x20}, received[12:])
	return []api.Packet{
		{Time: at, Data: received, Length: len(received), Comment: "received: lcore 1, service web"},
		{Time: at, Data: sent, Length: len(sent), Comment: "forwarded: real server 192.168.57.121, lcore 1, service web, flow established", Sent: true},
	}, c.left > 0
}

func (c *capture) Missed() uint64 { return 3 }

func (c *capture) Close() {}

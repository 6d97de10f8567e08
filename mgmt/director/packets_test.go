package director

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/mgmt/api"
)

// What a number stood for is told only as long as it cannot stand for something else.
func TestDecisionsOfThePastKeepTheirNames(t *testing.T) {
	templates, err := flowtable.NewTemplates(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := templates.Close(); err != nil {
			t.Error(err)
		}
	})
	r, c := newRegistry(templates), counts{}
	update(t, r, 3, c, web("10.0.0.1", "10.0.0.2"))
	update(t, r, 5, c, web("10.0.0.2"))
	r.reap(5, c.read)
	r.reap(5, c.read) // slot 0 is free
	id := update(t, r, 8, c, web("10.0.0.2", "10.0.0.3"))
	v := &view{flows: map[uint16]*flowNames{}, gone: map[string][]goneView{}}
	v.addIdentity(id.key, id)
	const service, nobody = "dropped: real_server_down, lcore 1, service web", "dropped: real_server_down, lcore 1, service (removed since)"
	for _, c := range []struct {
		name          string
		service, slot int32
		epoch         uint64
		want          string
	}{
		{"of before the service", 0, 1, 2, nobody + ", real server (removed since), flow established"},
		{"of a real server that stays", 0, 1, 3, service + ", real server 10.0.0.2, flow established"},
		{"of a slot's former real server", 0, 0, 4, service + ", real server (removed since), flow established"},
		{"of a slot's new real server", 0, 0, 8, service + ", real server 10.0.0.3, flow established"},
		{"of a slot that nobody has", 0, 7, 8, service + ", real server (removed since), flow established"},
		{"of a service that nobody knows", 7, 0, 8, nobody + ", real server (removed since), flow established"},
		{"without a flow", 0, -1, 8, service + ", no flow"},
		{"without a service", -1, -1, 8, "dropped: real_server_down, lcore 1"},
	} {
		k := lcore.KeptFrame{Epoch: c.epoch, Service: c.service, Slot: c.slot, State: flowtable.Established, Kind: lcore.PuntKinds}
		if got := v.droppedBecause(1, lcore.ReasonRealServerDown, &k); got != c.want {
			t.Errorf("a frame %s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDroppedKnowsItsReasons(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	for r := range lcore.Reasons {
		if packets, err := d.Dropped(r.String()); err != nil || len(packets) != 0 {
			t.Errorf("%v: %d packets, %v", r, len(packets), err)
		}
	}
	if _, err := d.Dropped("nonsense"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("nonsense: %v", err)
	}
}

func TestTSCClock(t *testing.T) {
	const hz = 2_000_000_000
	tsc := uint64(1 << 62)
	c := newTSCClock(func() uint64 { return tsc }, hz)
	near := func(what string, got, want time.Time, within time.Duration) {
		t.Helper()
		if d := got.Sub(want).Abs(); d > within {
			t.Errorf("%s: %v off", what, d)
		}
	}
	tsc += 3 * hz
	at, now := c.times(), time.Now()
	near("now", at(tsc), now, 10*time.Millisecond)
	near("before", at(tsc-hz/2), now.Add(-500*time.Millisecond), 10*time.Millisecond)
	near("a moment later", at(tsc+hz/1000), now.Add(time.Millisecond), 10*time.Millisecond)
	// The TSC runs a tenth faster than is believed: in an hour that is six minutes.
	c.start, tsc = time.Now().Add(-time.Hour), c.tsc+3600*hz*11/10
	near("half an hour ago", c.times()(tsc-1800*hz*11/10), time.Now().Add(-30*time.Minute), 10*time.Millisecond)
}

// ask is what a capture asks for that ends by itself soon.
var ask = api.CaptureQuery{Count: 10, Limit: 50 * time.Millisecond}

func TestCapturesComeOneByOne(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	first, err := d.Capture(ask)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Capture(ask); !errors.Is(err, api.ErrCapturing) {
		t.Errorf("a second one: %v, want ErrCapturing", err)
	}
	first.Close()
	if _, err := d.Capture(api.CaptureQuery{Service: "mail", Count: 1}); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("of an unknown service: %v, want ErrNotFound", err)
	}
	second, err := d.Capture(ask)
	if err != nil {
		t.Fatalf("after the first was closed and another one refused: %v", err)
	}
	second.Close()
}

func TestCaptureEnds(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	c, err := d.Capture(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begin := time.Now()
	for more := true; more; {
		var packets []api.Packet
		if packets, more = c.Next(context.Background()); len(packets) > 0 {
			t.Fatalf("captured %d packets out of nothing", len(packets))
		}
	}
	if took := time.Since(begin); took < ask.Limit/2 || took > 5*time.Second {
		t.Errorf("it ended after %v, want %v", took, ask.Limit)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, more := c.Next(canceled); more {
		t.Error("a client that has gone is waited for")
	}
}

func TestCapturedPackets(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	c := &capture{director: d}
	c.frame = lcore.CapturedFrame{Length: 3, Slot: 1, Known: true, State: flowtable.Established, Epoch: 1}
	at := time.Now()
	got := c.packets(d.view.Load(), 1, at)
	want := []api.Packet{
		{Time: at, Data: []byte{0, 0, 0}, Length: 3, Comment: "received: lcore 1, service web"},
		{Time: at, Data: []byte{0, 0, 0}, Length: 3, Comment: "forwarded: real server 192.168.57.122, lcore 1, service web, flow established", Sent: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c.frame.Known = false
	if got := c.packets(d.view.Load(), 1, at)[1].Comment; !strings.HasSuffix(got, ", flow not remembered") {
		t.Errorf("without an entry in the flow table: %q", got)
	}
}

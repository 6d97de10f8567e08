package director

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"turnout/lcore"
	"turnout/mgmt/api"
	"turnout/mgmt/store"
)

var (
	rs121 = netip.MustParseAddr("192.168.57.121")
	rs122 = netip.MustParseAddr("192.168.57.122")
)

// texts lists the events so far.
func texts(d *Director) string {
	list, _, _ := d.Events().Since(0)
	var all []string
	for _, e := range list {
		all = append(all, string(e.Kind)+": "+e.Text)
	}
	return strings.Join(all, "\n")
}

func wantEvent(t *testing.T, d *Director, text string) {
	t.Helper()
	eventually(t, "event "+text, func() bool { return strings.Contains(texts(d), text) })
}

func TestDrainOutlivesReloadAndRestart(t *testing.T) {
	d, w, path := start(t, servicesFile)
	w.bringUp(d, "web", rs121, rs122)
	wantStates(t, d, "121 up, 122 up")
	if err := d.SetDrain(context.Background(), "web", rs121, api.Drain{Deadline: store.Duration(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	wantStates(t, d, "121 draining, 122 up")
	if err := d.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantStates(t, d, "121 draining, 122 up")

	again, w := startAt(t, path)
	w.bringUp(again, "web", rs121, rs122)
	wantStates(t, again, "121 draining, 122 up")
	live := again.Services().Services[0].Live.RealServers[0].Drain
	if live == nil || live.Then != api.ThenKeep || !live.EndsAt.Equal(live.Since.Add(time.Hour)) {
		t.Fatalf("after a restart the drain is %+v", live)
	}
	if err := again.EndDrain(context.Background(), "web", rs121); err != nil {
		t.Fatal(err)
	}
	wantStates(t, again, "121 up, 122 up")
}

func TestDrainEndsWithItsRealServer(t *testing.T) {
	d, w, path := start(t, servicesFile)
	w.bringUp(d, "web", rs121, rs122)
	if err := d.SetDrain(context.Background(), "web", rs121, api.Drain{}); err != nil {
		t.Fatal(err)
	}
	err := edit(d, 0, func(s *store.State) error { s.Services[0].RealServers = s.Services[0].RealServers[1:]; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := store.OpenDrains(path + ".drains").Load(); err != nil || len(kept) != 0 {
		t.Errorf("still on disk: %v (%v)", kept, err)
	}
}

func TestDrainOfAnEmptyRealServerIsToldAtOnce(t *testing.T) {
	d, w, _ := start(t, servicesFile)
	w.bringUp(d, "web", rs121)
	if err := d.SetDrain(context.Background(), "web", rs121, api.Drain{Deadline: store.Duration(time.Second), Then: api.ThenDrop}); err != nil {
		t.Fatal(err)
	}
	wantEvent(t, d, "drain: real server 192.168.57.121 of service web is empty")
	wantEvent(t, d, "drain: real server 192.168.57.121 of service web has reached its deadline, then: drop")
}

func TestDrainSaysWhatItCannotDo(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	if err := d.SetDrain(context.Background(), "web", netip.MustParseAddr("192.168.57.99"), api.Drain{}); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("a stranger: %v", err)
	}
	if err := d.EndDrain(context.Background(), "shop", rs121); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("a service that is not there: %v", err)
	}
	for _, bad := range []api.Drain{{Deadline: -1}, {Then: "explode"}} {
		if err := d.SetDrain(context.Background(), "web", rs121, bad); !isMistakes(err) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestAfterTheDeadline(t *testing.T) {
	begun := time.Unix(1700000000, 0)
	for then, want := range map[api.Then]lcore.RealState{
		api.ThenKeep: lcore.RealDraining, api.ThenReschedule: lcore.RealGone, api.ThenDrop: lcore.RealDown,
	} {
		d := &drain{Drain: store.Drain{Since: begun, Deadline: store.Duration(time.Minute), Then: string(then)}}
		if got := d.real(begun.Add(59 * time.Second)); got != lcore.RealDraining {
			t.Errorf("%s: state %d before the deadline", then, got)
		}
		if got := d.real(begun.Add(time.Minute)); got != want {
			t.Errorf("%s: state %d after the deadline, want %d", then, got, want)
		}
	}
}

func TestETAGoesByTheLastMinute(t *testing.T) {
	p, begun := pace{}, time.Unix(1700000000, 0)
	if p.eta(10, begun) != nil {
		t.Error("an ETA out of nothing")
	}
	for second := range 100 { // a flow a second ends
		p.note(uint64(1000-second), begun.Add(time.Duration(second)*time.Second))
	}
	if len(p.readings) > 61 {
		t.Errorf("%d readings are kept, want a minute's", len(p.readings))
	}
	if eta := p.eta(901, begun.Add(99*time.Second)); eta == nil || *eta < 900 || *eta > 902 {
		t.Errorf("ETA %v, want 901 s", eta)
	}
	if eta := p.eta(0, begun); eta == nil || *eta != 0 {
		t.Errorf("ETA %v of an empty one, want 0", eta)
	}
}

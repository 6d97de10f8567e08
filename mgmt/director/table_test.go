package director

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"turnout/mgmt/store"
	"turnout/sched"
)

var (
	rs123 = netip.MustParseAddr("192.168.57.123")
	rs130 = netip.MustParseAddr("192.168.57.130")
)

// owners lists by position which real server the first service's table gives new flows to; the zero address is none.
func owners(t *testing.T, d *Director) (list []netip.Addr) {
	t.Helper()
	err := d.ask(context.Background(), func() error {
		c := d.compiled[keyOf(&d.desired.Services[0])]
		table := c.spec.Table.Load()
		for at := range table.Len() {
			slot := table.PickByHash(hashAt(at, table.Len()))
			if slot == sched.None {
				list = append(list, netip.Addr{})
			} else {
				list = append(list, c.id.slots[slot].address)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func countOf(list []netip.Addr, address netip.Addr) (n int) {
	for _, a := range list {
		if a == address {
			n++
		}
	}
	return n
}

const sorryFile = `
services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    quorum: 2
    hysteresis: 1
    sorry_server: {address: 192.168.57.130}
    real_servers:
      - {address: 192.168.57.121}
      - {address: 192.168.57.122}
      - {address: 192.168.57.123}
`

func TestSorryServerStandsInWhileThereIsNoQuorum(t *testing.T) {
	d, w, _ := start(t, sorryFile)
	w.bringUp(d, "other", rs130) // it has a MAC
	d.HealthChanged("web")
	onlySorry := func() bool { o := owners(t, d); return len(o) > 0 && countOf(o, rs130) == len(o) }
	noSorry := func() bool { o := owners(t, d); return len(o) > 0 && countOf(o, rs130) == 0 }
	eventually(t, "all down: the sorry server has all", onlySorry)
	w.bringUp(d, "web", rs121, rs122)
	wantStates(t, d, "121 up, 122 up, 123 down")
	eventually(t, "weight 2 is less than quorum + hysteresis", onlySorry)
	w.bringUp(d, "web", rs123)
	eventually(t, "weight 3 is enough", noSorry)
	if live := d.Services().Services[0].Live; !live.Quorum || live.UsableWeight != 3 || live.SorryServer.State != "standby" {
		t.Errorf("quorum %v, weight %d, sorry server %s", live.Quorum, live.UsableWeight, live.SorryServer.State)
	}
	w.takeDown(d, "web", rs123)
	w.takeDown(d, "web", rs122)
	wantStates(t, d, "121 up, 122 down, 123 down")
	eventually(t, "weight 1 is not less than quorum - hysteresis", noSorry)
	w.takeDown(d, "web", rs121)
	eventually(t, "none is left", onlySorry)
	wantEvent(t, d, "service web has lost its quorum: real servers of weight 0 are up, 2 is the least; sorry server 192.168.57.130 gets new flows")
}

func TestOnDown(t *testing.T) {
	for on, want := range map[store.OnDown]string{store.OnDownReschedule: "0", store.OnDownDrop: "1", store.OnDownKeep: "2"} {
		if got := whenDown(on, [6]byte{2}); string('0'+rune(got)) != want {
			t.Errorf("%s: state %d, want %s", on, got, want)
		}
	}
	if got := whenDown(store.OnDownKeep, [6]byte{}); got != 1 {
		t.Errorf("kept without a MAC: state %d; nothing can be sent there", got)
	}
}

func TestPlanTellsWhatTheTableWillBe(t *testing.T) {
	d, w, _ := start(t, servicesFile)
	w.bringUp(d, "web", rs121, rs122)
	wantStates(t, d, "121 up, 122 up")
	before := owners(t, d)
	add := func(s *store.State) error {
		s.Services[0].RealServers = append(s.Services[0].RealServers, store.RealServer{Address: rs123, Weight: 1})
		return nil
	}
	plan, err := d.Change(context.Background(), 0, true, add)
	if err != nil || len(plan.Slots) != 1 {
		t.Fatalf("plan %+v (%v)", plan, err)
	}
	applied, err := d.Change(context.Background(), 0, false, add)
	if err != nil || len(applied.Slots) != 1 || applied.Slots[0] != plan.Slots[0] {
		t.Fatalf("planned %+v, applied %+v (%v)", plan.Slots, applied.Slots, err)
	}
	w.bringUp(d, "web", rs123)
	wantStates(t, d, "121 up, 122 up, 123 up")
	after, moved := owners(t, d), 0
	for at := range after {
		if before[at] != after[at] {
			moved++
		}
	}
	if got := plan.Slots[0]; got.Moved != moved || got.Slots != len(after) || got.Percent < 33 || got.Percent > 34 {
		t.Errorf("planned %+v, but %d of %d moved", got, moved, len(after))
	}
}

func TestPlanTellsOfVIPs(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	plan, err := d.Change(context.Background(), 0, true, func(s *store.State) error {
		s.Services[0].VIP = netip.MustParseAddr("192.168.57.101")
		return nil
	})
	if err != nil || len(plan.Announced) != 1 || len(plan.Withdrawn) != 1 || plan.Withdrawn[0].String() != "192.168.57.100" {
		t.Errorf("plan %+v (%v)", plan, err)
	}
	if len(plan.Flows) != 1 || plan.Flows[0].Service != "web" {
		t.Errorf("flows %+v; want those of web, none of which there are", plan.Flows)
	}
}

const rampsFile = `
services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    slow_start: 1s
    gradual: 1s
    real_servers:
      - {address: 192.168.57.121}
      - {address: 192.168.57.122}
`

// TestRampsOnlyTakePositions watches a slow start, then a gradual change: no position changes twice.
func TestRampsOnlyTakePositions(t *testing.T) {
	d, w, _ := start(t, rampsFile)
	w.bringUp(d, "web", rs121)
	wantStates(t, d, "121 up, 122 down")
	eventually(t, "the first is past its own slow start", func() bool { return d.Services().Services[0].Live.RealServers[0].Share == 1 })
	time.Sleep(2 * refreshInterval)
	w.bringUp(d, "web", rs122)
	wantStates(t, d, "121 up, 122 up")
	watchRamp(t, d, rs122, 32768)
	if err := edit(d, 0, func(s *store.State) error { s.Services[0].RealServers[0].Weight = 3; return nil }); err != nil {
		t.Fatal(err)
	}
	watchRamp(t, d, rs121, 49152)
}

// watchRamp wants a real server's positions to grow to about want, in several steps, none of which takes one away.
func watchRamp(t *testing.T, d *Director, grows netip.Addr, want int) {
	t.Helper()
	last, grown := owners(t, d), 0
	eventually(t, "the ramp ends", func() bool {
		now := owners(t, d)
		lost := 0
		for at := range now {
			if last[at] == grows && now[at] != grows {
				lost++
			}
		}
		if lost > len(now)/100 { // Maglev itself swaps a few when weights change
			t.Fatalf("%d positions were taken away again", lost)
		}
		if countOf(now, grows) > countOf(last, grows) {
			grown++
		}
		last = now
		return countOf(now, grows) > want*99/100
	})
	if grown < 3 { // of 32; a loaded machine looks seldom
		t.Errorf("was seen to grow %d times, want more", grown)
	}
}

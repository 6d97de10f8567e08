package director

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/lcore/port/memory"
	"turnout/mgmt/api"
	"turnout/mgmt/events"
	"turnout/mgmt/health"
	"turnout/mgmt/neigh"
	"turnout/mgmt/store"
)

const servicesFile = `# the shop
services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    health_check: {type: tcp}
    real_servers:
      - {address: 192.168.57.121}
      - {address: 192.168.57.122} # the slow one
`

// world is what a Director under test knows of the outside, and what it told it.
type world struct {
	mu        sync.Mutex
	up        map[health.Key]bool
	macs      map[netip.Addr]frame.MAC
	vips      []netip.Addr
	targets   []health.Target
	servers   []netip.Addr
	active    []bool
	saved     api.Role
	saveError error
}

func (w *world) locked(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
}

type fixedPort struct{}

func (fixedPort) Brief() api.Port {
	return api.Port{Name: "lan", KernelInterface: "dip0", LinkUp: true}
}

// startLcore runs a worker over a memory queue that gets nothing.
func startLcore(t testing.TB, id uint) Lcore {
	t.Helper()
	queue, err := memory.New()
	if err != nil {
		t.Fatal(err)
	}
	queue.Step = 1000
	queue.OnTurn = func(int) { time.Sleep(100 * time.Microsecond) }
	burst, err := lcore.NewBurst()
	if err != nil {
		t.Fatal(err)
	}
	punts, err := lcore.NewRing(64)
	if err != nil {
		t.Fatal(err)
	}
	w, err := lcore.New(lcore.Config{Queue: queue, Burst: burst, Punt: punts, TSCHz: 1e9, Flows: 1024})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { w.Run(); close(ended) }()
	t.Cleanup(func() {
		w.Stop()
		<-ended
		for _, err := range []error{w.Close(), queue.Close(), burst.Free(), punts.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return Lcore{ID: id, Worker: w}
}

// start makes a Director over a services file and loads it.
func start(t testing.TB, services string) (*Director, *world, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "services.yaml")
	if err := os.WriteFile(path, []byte(services), 0o644); err != nil {
		t.Fatal(err)
	}
	d, w := startAt(t, path)
	return d, w, path
}

// startAt makes a Director over the services file at path, as after a restart.
func startAt(t testing.TB, path string) (*Director, *world) {
	t.Helper()
	disk, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{up: map[health.Key]bool{}, macs: map[netip.Addr]frame.MAC{}}
	d := New(w.config(disk, startLcore(t, 1)))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { _ = d.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	if err := d.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	return d, w
}

func (w *world) config(disk *store.Store, l Lcore) Config {
	return Config{
		Version: "test", Store: disk, Role: api.RoleActive, TSCHz: 1e9, TSC: func() uint64 { return uint64(time.Now().UnixNano()) }, Port: fixedPort{}, PortMAC: frame.MAC{2, 0, 0, 0, 1, 0x20},
		DIP: netip.MustParsePrefix("192.168.57.120/24"), Lcores: []Lcore{l}, Log: zap.NewNop(),
		Drains: store.OpenDrains(disk.Path() + ".drains"), Events: events.New(),
		Up:         func(k health.Key) (up bool) { w.locked(func() { up = w.up[k] }); return up },
		MAC:        func(a netip.Addr) (m frame.MAC, ok bool) { w.locked(func() { m, ok = w.macs[a] }); return m, ok },
		Health:     func() map[health.Key]health.Status { return nil },
		Neighbours: func() []api.Neighbour { return nil },
		VIPs:       func() []api.VIP { return nil },
		Claims:     func() []neigh.Claim { return nil },
		CheckVIPs: func(vips []netip.Addr) error {
			if slices.Contains(vips, netip.MustParseAddr("192.168.57.199")) {
				return errors.New("192.168.57.199 is an address of this host")
			}
			return nil
		},
		SaveRole: func(r api.Role) error {
			w.locked(func() { w.saved = r })
			return w.saveError
		},
		OnVIPs:    func(v []netip.Addr) { w.locked(func() { w.vips = v }) },
		OnActive:  func(a bool) { w.locked(func() { w.active = append(w.active, a) }) },
		OnTargets: func(targets []health.Target) { w.locked(func() { w.targets = targets }) },
		OnServers: func(s []netip.Addr) { w.locked(func() { w.servers = s }) },
	}
}

// states lists the real servers of the first service with their states.
func states(d *Director) string {
	var all []string
	for _, rs := range d.Services().Services[0].Live.RealServers {
		all = append(all, rs.Address.String()[len("192.168.57."):]+" "+rs.State)
	}
	return strings.Join(all, ", ")
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("not within 5 s: %s", what)
}

func wantStates(t *testing.T, d *Director, want string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); states(d) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("real servers: %s; want %s", states(d), want)
		}
	}
}

// bringUp has real servers pass their checks and gives them MACs.
func (w *world) bringUp(d *Director, service string, addresses ...netip.Addr) {
	w.locked(func() {
		for _, a := range addresses {
			w.up[health.Key{Service: service, RealServer: a}] = true
			w.macs[a] = frame.MAC{2, 0, 0, 0, 1, a.As4()[3]}
		}
	})
	d.HealthChanged(service)
}

func (w *world) takeDown(d *Director, service string, address netip.Addr) {
	w.locked(func() { w.up[health.Key{Service: service, RealServer: address}] = false })
	d.HealthChanged(service)
}

func TestRealServersComeIntoService(t *testing.T) {
	d, w, _ := start(t, servicesFile)
	first, second := netip.MustParseAddr("192.168.57.121"), netip.MustParseAddr("192.168.57.122")
	wantStates(t, d, "121 down, 122 down")
	w.locked(func() { w.up[health.Key{Service: "web", RealServer: first}] = true })
	d.HealthChanged("web")
	wantStates(t, d, "121 no_mac, 122 down")
	w.locked(func() { w.macs[first] = frame.MAC{2, 0, 0, 0, 1, 0x21} })
	d.MACsChanged([]netip.Addr{first})
	wantStates(t, d, "121 up, 122 down")
	if err := edit(d, 0, func(s *store.State) error { s.Services[0].RealServers[0].Weight = 0; return nil }); err != nil {
		t.Fatal(err)
	}
	wantStates(t, d, "121 draining, 122 down")
	w.locked(func() {
		if want := []netip.Addr{first, second}; !slices.Equal(w.servers, want) || len(w.targets) != 2 || len(w.vips) != 1 {
			t.Errorf("told of real servers %v, %d targets, VIPs %v", w.servers, len(w.targets), w.vips)
		}
	})
}

func edit(d *Director, ifMatch uint64, change func(*store.State) error) error {
	_, err := d.Change(context.Background(), ifMatch, false, change)
	return err
}

func TestChangeIsWrittenAndApplied(t *testing.T) {
	d, _, path := start(t, servicesFile)
	applied, err := d.Change(context.Background(), 1, false, func(s *store.State) error {
		s.Services[0].RealServers = s.Services[0].RealServers[1:]
		return nil
	})
	if err != nil || applied.Generation != 2 {
		t.Fatalf("generation %d, %v; want 2", applied.Generation, err)
	}
	wantStates(t, d, "122 down")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(content); strings.Contains(text, ".121") || !strings.Contains(text, "# the slow one") || !strings.Contains(text, "# the shop") {
		t.Errorf("the file now reads\n%s", text)
	}
}

func TestRefusedChangesLeaveAllAsItWas(t *testing.T) {
	d, _, path := start(t, servicesFile)
	for _, c := range []struct {
		name    string
		ifMatch uint64
		edit    func(*store.State) error
		is      func(error) bool
	}{
		{"stale generation", 7, func(*store.State) error { return nil }, func(err error) bool { return errors.Is(err, api.ErrStale) }},
		{"the edit fails", 0, func(*store.State) error { return api.ErrNotFound }, func(err error) bool { return errors.Is(err, api.ErrNotFound) }},
		{"not valid", 0, func(s *store.State) error { s.Services[0].Name = "Web!"; return nil }, isMistakes},
		{"the kernel holds the VIP", 0, func(s *store.State) error {
			s.Services[0].VIP = netip.MustParseAddr("192.168.57.199")
			return nil
		}, isMistakes},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := edit(d, c.ifMatch, c.edit); !c.is(err) {
				t.Errorf("got %v", err)
			}
			content, err := os.ReadFile(path)
			if err != nil || string(content) != servicesFile {
				t.Errorf("the file now reads\n%s (%v)", content, err)
			}
			if g := d.Status().Generation; g != 1 {
				t.Errorf("generation %d, want 1", g)
			}
		})
	}
}

func isMistakes(err error) bool {
	mistakes := new(store.Mistakes)
	return errors.As(err, &mistakes)
}

func TestDryRunChangesNothing(t *testing.T) {
	d, _, path := start(t, servicesFile)
	_, err := d.Change(context.Background(), 0, true, func(s *store.State) error { s.Services = nil; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(path); string(content) != servicesFile || len(d.Services().Services) != 1 {
		t.Errorf("changed by a dry run: %s", content)
	}
}

func TestBadFileIsRefusedWhole(t *testing.T) {
	d, _, path := start(t, servicesFile)
	bad := strings.Replace(servicesFile, "port: 80", "prot: 80", 1)
	if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
		t.Fatal(err)
	}
	err := d.Load(context.Background())
	if err == nil || !strings.Contains(err.Error(), "services.yaml:6") {
		t.Errorf("%v; want the place of the mistake, line 6", err)
	}
	if s := d.Status(); s.Generation != 1 || s.LastApplySuccessful {
		t.Errorf("generation %d, last apply successful %v; want 1, false", s.Generation, s.LastApplySuccessful)
	}
	if err := edit(d, 0, func(*store.State) error { return nil }); !errors.Is(err, store.ErrFileChanged) {
		t.Errorf("a write over the hand-edited file: %v", err)
	}
	if err := os.WriteFile(path, []byte(servicesFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.Load(context.Background()); err != nil || !d.Status().LastApplySuccessful {
		t.Errorf("the mended file: %v", err)
	}
}

func TestLcoresSeeEveryChange(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	for range 20 {
		if err := edit(d, 0, func(s *store.State) error { s.Services[0].RealServers[0].Weight++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the lcore looks at the newest snapshot", func() bool { return d.config.Lcores[0].ReadCounters().Epoch == 21 })
}

func TestStoppedDirectorRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.yaml")
	if err := os.WriteFile(path, []byte(servicesFile), 0o644); err != nil {
		t.Fatal(err)
	}
	disk, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	d := New(w.config(disk, Lcore{}))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = d.Run(ctx)
	d.HealthChanged("web") // must not block
	if err := d.Load(context.Background()); err == nil {
		t.Error("a director that has stopped loaded a file")
	}
}

func TestCountersStayWhenTheServiceMoves(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	first := d.view.Load().services[0].reals[0]
	if err := edit(d, 0, func(s *store.State) error { s.Services[0].Port = 8080; return nil }); err != nil {
		t.Fatal(err)
	}
	v := d.view.Load()
	if gone := v.gone["web"]; len(gone) != 2 || gone[0].address != first.Address || gone[0].counter != first.counter {
		t.Errorf("slots of the old port: %+v; want those of both real servers, still counted", gone)
	}
}

func TestLoadOfTheSameFileIsNoGeneration(t *testing.T) {
	d, _, path := start(t, servicesFile)
	if err := d.Load(context.Background()); err != nil || d.Status().Generation != 1 {
		t.Errorf("generation %d (%v), want 1: a client's If-Match would be stale", d.Status().Generation, err)
	}
	if err := os.WriteFile(path, []byte(servicesFile+"# a remark\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.Load(context.Background()); err != nil || d.Status().Generation != 1 {
		t.Errorf("after a remark: generation %d (%v), want 1", d.Status().Generation, err)
	}
}

func TestStateWithoutRoomIsNotWritten(t *testing.T) {
	d, _, path := start(t, servicesFile)
	_ = d.ask(context.Background(), func() error { d.registry.counters.limit = 2; return nil })
	err := edit(d, 0, func(s *store.State) error {
		s.Services[0].RealServers = append(s.Services[0].RealServers, store.RealServer{Address: netip.MustParseAddr("192.168.57.123"), Weight: 1})
		return nil
	})
	if !errors.Is(err, errTooMany) {
		t.Errorf("got %v", err)
	}
	if content, _ := os.ReadFile(path); string(content) != servicesFile {
		t.Errorf("the file now reads\n%s", content)
	}
	d.HealthChanged("web") // compiles what is in force
	wantStates(t, d, "121 down, 122 down")
}

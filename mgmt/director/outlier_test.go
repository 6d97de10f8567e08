package director

import (
	"fmt"
	"testing"
	"time"

	"turnout/lcore"
	"turnout/mgmt/store"
)

// outlierFile has real servers of which at most one may be ejected.
const outlierFile = `
services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    outlier: {unanswered: 50%, min_syns: 20, eject: 30s, max_ejected: 34%}
    real_servers:
      - {address: 192.168.57.121}
      - {address: 192.168.57.122}
      - {address: 192.168.57.123}
`

// court is a Director that does nothing by itself, whose time and counts the test makes.
type court struct {
	t *testing.T
	*Director
	now     time.Time
	counted map[uint32]sample
}

func newCourt(t *testing.T, services string) *court {
	t.Helper()
	running, w, path := start(t, services)
	w.bringUp(running, "web", rs121, rs122, rs123)
	disk, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d := New(w.config(disk, running.config.Lcores[0]))
	if err := d.load(); err != nil {
		t.Fatal(err)
	}
	return &court{t, d, time.Now(), map[uint32]sample{}}
}

// rates are how many handshakes a second the real servers get, and how many of these they answer.
type rates [3]sample

// pass lets seconds go by, each with a look.
func (c *court) pass(seconds int, r rates) {
	for range seconds {
		for n, rate := range r {
			before := c.counted[uint32(n)]
			c.counted[uint32(n)] = sample{before.syns + rate.syns, before.answered + rate.answered}
		}
		c.now = c.now.Add(time.Second)
		c.judgeOutliers(c.now, func(counter uint32) sample { return c.counted[counter] })
		// What compiles by the clock of the test is the state of its time.
		c.publishAt(c.now)
	}
}

// publishAt compiles all services as of now.
func (c *court) publishAt(now time.Time) {
	for i := range c.desired.Services {
		svc := &c.desired.Services[i]
		key := keyOf(svc)
		c.compiled[key] = c.compileService(svc, c.registry.services[key], c.compiled[key], now)
	}
	c.publishView()
}

func (c *court) want(what, want string) {
	c.t.Helper()
	if got := states(c.Director); got != want {
		c.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

const (
	allUp     = "121 up, 122 up, 123 up"
	oneOut    = "121 ejected, 122 up, 123 up"
	secondOut = "121 up, 122 ejected, 123 up"
)

var (
	good   = sample{10, 10}
	dead   = sample{10, 0}
	sick   = sample{10, 5}
	better = sample{10, 6}
)

func TestOutlierIsEjectedAndTriedAgain(t *testing.T) {
	c := newCourt(t, outlierFile)
	c.pass(20, rates{good, good, good})
	c.want("all answer", allUp)
	c.pass(5, rates{dead, good, good})
	c.want("50 of the last 100 were not answered, but it takes two looks", allUp)
	c.pass(1, rates{dead, good, good})
	c.want("two looks", oneOut)
	if state := c.compiled[keyOf(&c.desired.Services[0])].spec.Reals[0].State; state != lcore.RealDraining {
		t.Errorf("state %d for the lcores; it must keep its flows", state)
	}
	if until := c.Services().Services[0].Live.RealServers[0].EjectedUntil; !until.Equal(c.now.Add(30 * time.Second)) {
		t.Errorf("ejected until %v, want %v", until, c.now.Add(30*time.Second))
	}
	wantEvent(t, c.Director, "real server 192.168.57.121 of service web is ejected for 30s: 60 of its last 100 handshakes were not answered")
	c.pass(29, rates{{}, good, good})
	c.want("a second too early", oneOut)
	c.pass(1, rates{{}, good, good})
	c.want("tried again", allUp)
	wantEvent(t, c.Director, "real server 192.168.57.121 of service web is tried again")
}

func TestEjectionsGrowAndAreForgotten(t *testing.T) {
	c := newCourt(t, outlierFile)
	out := func() (seconds int) {
		for states(c.Director) == allUp {
			c.pass(1, rates{dead, good, good})
		}
		for states(c.Director) == oneOut {
			c.pass(1, rates{{}, good, good})
			seconds++
		}
		return seconds
	}
	for _, want := range []int{30, 60, 120, 240, 300, 300} {
		if got := out(); got != want {
			t.Errorf("out for %d s, want %d", got, want)
		}
	}
	c.pass(295, rates{good, good, good})
	if got := out(); got != 300 {
		t.Errorf("back for less than 310 s: out for %d s, want 300", got)
	}
	c.pass(310, rates{good, good, good})
	if got := out(); got != 30 {
		t.Errorf("back for longer: out for %d s, want 30", got)
	}
}

func TestWhoIsNoOutlier(t *testing.T) {
	for _, c := range []struct {
		name  string
		rates rates
		want  string
	}{
		{"too few handshakes", rates{{1, 0}, good, good}, allUp},
		{"just enough of them", rates{{2, 0}, good, good}, oneOut},
		{"half of them", rates{sick, good, good}, oneOut},
		{"less than half", rates{better, good, good}, allUp},
		{"nobody answers: a flood, or the clients' network", rates{dead, dead, dead}, allUp},
		{"nobody else has clients", rates{dead, {}, {}}, allUp},
		{"two, of which the worse goes", rates{sick, dead, good}, secondOut},
		{"more answers than handshakes", rates{{10, 20}, good, good}, allUp},
	} {
		t.Run(c.name, func(t *testing.T) {
			court := newCourt(t, outlierFile)
			court.pass(25, c.rates)
			court.want("after 25 s", c.want)
		})
	}
}

func TestServiceKeepsEnoughRealServers(t *testing.T) {
	for percent, want := range map[string]string{"33%": allUp, "34%": oneOut, "67%": "121 ejected, 122 ejected, 123 up", "100%": "121 ejected, 122 ejected, 123 up"} {
		c := newCourt(t, fmt.Sprintf(`
services:
  - {name: web, vip: 192.168.57.100, protocol: tcp, port: 80, outlier: {unanswered: 50%%, max_ejected: %s}, real_servers:
      [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]}
`, percent))
		c.pass(25, rates{dead, dead, good})
		c.want("at most "+percent, want)
	}
}

func TestNoEjectionWithoutTheKey(t *testing.T) {
	c := newCourt(t, outlierFile)
	c.pass(10, rates{dead, good, good})
	c.want("with it", oneOut)
	c.desired.Services[0].Outlier.Unanswered = 0
	c.pass(1, rates{dead, good, good})
	c.want("taken away", allUp)
	c.pass(30, rates{dead, good, good})
	c.want("without it", allUp)
}

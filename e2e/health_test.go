package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// The health check of quickWeb. The limits are those that its numbers promise.
const (
	checkInterval = 500 * time.Millisecond
	checkTimeout  = 400 * time.Millisecond
	outLimit      = 2*checkInterval + checkTimeout // fall 2
	inLimit       = 2*checkInterval + checkTimeout // rise 2
)

const quickWeb = `services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    health_check: {type: http, interval: 500ms, timeout: 400ms, rise: 2, fall: 2}
    real_servers:
      - {address: 192.168.57.121}
      - {address: 192.168.57.122}
      - {address: 192.168.57.123}
`

func TestDeadServerIsOutInTimeAndBackInTime(t *testing.T) {
	d := startDirector(t, settings{services: quickWeb})
	d.waitServers("web", "up", 3)
	rs1 := d.segment.servers[0]
	t.Cleanup(func() {
		if rs1.nginx == nil {
			if err := rs1.startNginx(); err != nil {
				t.Error(err)
			}
		}
	})
	var out, in []time.Duration
	for range 3 { // a busy machine may need more than one try
		o, i := d.killAndRevive(rs1)
		out, in = append(out, o), append(in, i)
		if o <= outLimit && i <= inLimit {
			break
		}
	}
	t.Logf("out after %v (limit %v), in after %v (limit %v)", out, outLimit, in, inLimit)
	if best := slices.Min(out); best > outLimit {
		t.Errorf("out after %v at best, want at most fall x interval + timeout, %v", best, outLimit)
	}
	if best := slices.Min(in); best > inLimit {
		t.Errorf("in after %v at best, want at most rise x interval + timeout, %v", best, inLimit)
	}
}

// killAndRevive ends nginx and starts it again, under load: once the real server is out no visit may fail any more, not
// even while it comes back. It returns how long it took by the time of the change as the API tells it.
func (d *director) killAndRevive(rs *server) (out, in time.Duration) {
	d.t.Helper()
	load := d.segment.startLoad(d.t, 4, 5*time.Millisecond, webURL)
	killed := time.Now()
	rs.stopNginx()
	d.waitServers("web", "down", 1)
	wasOut := time.Now()
	out = d.since("web", rs).Sub(killed)

	time.Sleep(200 * time.Millisecond)
	started := time.Now()
	if err := rs.startNginx(); err != nil {
		d.t.Fatal(err)
	}
	d.waitServers("web", "up", 3)
	in = d.since("web", rs).Sub(started)
	wasIn := time.Now()
	eventually(d.t, 10*time.Second, rs.name+" serves again", func() bool { return load.servedSince(wasIn, rs.name) > 0 })

	visits := load.stop()
	after := slices.DeleteFunc(slices.Clone(visits), func(v visit) bool { return v.at.Before(wasOut) })
	wantNoFailure(d.t, after)
	absent := slices.DeleteFunc(after, func(v visit) bool { return v.at.Add(v.took).After(started) })
	if len(absent) == 0 || served(absent)[rs.name] > 0 {
		d.t.Errorf("of the visits while it was out %s served %d: %v", rs.name, served(absent)[rs.name], served(absent))
	}
	return out, in
}

// since is when the health of a real server last changed.
func (d *director) since(service string, rs *server) time.Time {
	d.t.Helper()
	for _, live := range d.service(service).Live.RealServers {
		if live.Address == rs.address {
			return live.Health.Since
		}
	}
	d.t.Fatalf("%s has no real server %s", service, rs.address)
	return time.Time{}
}

func TestRemovalByTheAPILosesNoRequest(t *testing.T) {
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	rs2 := d.segment.servers[1]
	load := d.segment.startLoad(t, 6, 2*time.Millisecond, webURL)
	time.Sleep(500 * time.Millisecond)
	d.must(http.MethodDelete, realServerPath("web", rs2.address), nil, nil)
	removed := time.Now()
	time.Sleep(time.Second)
	visits := load.stop()
	wantNoFailure(t, visits)
	if served(visits)[rs2.name] == 0 {
		t.Errorf("%s served nothing before it was removed: %v", rs2.name, served(visits))
	}
	after := slices.DeleteFunc(visits, func(v visit) bool { return v.at.Before(removed) })
	if len(after) == 0 || served(after)[rs2.name] > 0 {
		t.Errorf("of the %d visits after its removal %s served some: %v", len(after), rs2.name, served(after))
	}
}

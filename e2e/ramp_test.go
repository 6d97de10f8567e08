package e2e

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"turnout/mgmt/store"
)

const rampTime = 2 * time.Second

// rampService has real servers that take rampTime to get their full share, and changes of weights take as long. The
// check looks at the service itself.
const rampService = `  - name: %[1]s
    vip: 192.168.57.100
    protocol: tcp
    port: %[2]d
    scheduler: %[1]s
    slow_start: %[3]v
    gradual: %[3]v
    health_check: {type: tcp, port: 7, interval: 200ms, timeout: 150ms, rise: 1, fall: 5}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
`

// ramping are the schedulers of which chance and counts do not hide the shares.
var ramping = []string{"maglev", "wrr"}

func TestSlowStartAndGradualChange(t *testing.T) {
	s := needSegment(t)
	services := "services:\n"
	for i, scheduler := range ramping {
		services += fmt.Sprintf(rampService, scheduler, firstPort+i, rampTime)
		s.serveEcho(t, firstPort+i)
	}
	rs1, rs2, rs3 := s.servers[0], s.servers[1], s.servers[2]
	rs1.serveEcho(t, echoPort)
	rs2.serveEcho(t, echoPort)
	d := startDirector(t, settings{services: services})
	wires := s.tapServers(t)
	var old []*connection
	for i, scheduler := range ramping {
		d.waitServers(scheduler, "up", 2)
		eventually(t, 2*rampTime, "the first real servers have their share", func() bool {
			return d.realServer(scheduler, rs1).Share == 1 && d.realServer(scheduler, rs2).Share == 1
		})
		old = append(old, s.client.connectMany(t, 15, serviceAddress(firstPort+i))...)
	}
	stop := chat(t, old)

	rs3.serveEcho(t, echoPort)
	for _, scheduler := range ramping {
		d.waitServers(scheduler, "up", 3)
	}
	d.wantGrowth(t, rs3, 0, 1.0/3)

	for _, scheduler := range ramping {
		d.must(http.MethodPut, realServerPath(scheduler, rs3.address), store.RealServer{Address: rs3.address, Weight: 8}, nil)
	}
	d.wantGrowth(t, rs3, 1.0/3, 8.0/10)
	stop()
	wantOneServerEach(t, s, wires, old)
}

// wantGrowth wants a real server to get more and more of the new connections, from one part of them to another, while the
// ramp lasts.
func (d *director) wantGrowth(t *testing.T, rs *server, from, to float64) {
	t.Helper()
	const quarters = 4
	begin := time.Now()
	var parts []map[string]part
	for quarter := range quarters {
		parts = append(parts, d.parts(t, rs, begin.Add(rampTime*time.Duration(quarter+1)/quarters)))
	}
	time.Sleep(rampTime / quarters)
	after := d.parts(t, rs, time.Now().Add(rampTime/2))
	for _, scheduler := range ramping {
		for quarter := range quarters {
			want := from + (to-from)*(float64(quarter)+0.5)/quarters
			parts[quarter][scheduler].judge(t, fmt.Sprintf("%s: %s in quarter %d of the ramp", scheduler, rs.name, quarter+1), want)
		}
		after[scheduler].judge(t, fmt.Sprintf("%s: %s after the ramp", scheduler, rs.name), to)
	}
}

// part is how many of the new connections a real server gets.
type part struct{ mine, all int }

func (p part) judge(t *testing.T, whose string, want float64) {
	t.Helper()
	// Four standard deviations, and what a ramp in steps of a busy machine may be off.
	slack := 4*math.Sqrt(want*(1-want)/float64(p.all)) + 0.04
	got := float64(p.mine) / float64(p.all)
	t.Logf("%s: %.2f of %d new connections, want %.2f within %.2f", whose, got, p.all, want, slack)
	if math.Abs(got-want) > slack {
		t.Errorf("%s got %.2f of the new connections, want %.2f", whose, got, want)
	}
}

// parts are what a real server gets of the new connections of each service until a time.
func (d *director) parts(t *testing.T, rs *server, end time.Time) map[string]part {
	t.Helper()
	parts := map[string]part{}
	for len(parts) == 0 || time.Now().Before(end) {
		for i, scheduler := range ramping {
			c, err := d.segment.client.connect(serviceAddress(firstPort + i))
			if err != nil {
				t.Fatal(err)
			}
			p := parts[scheduler]
			if p.all++; c.server == rs.name {
				p.mine++
			}
			parts[scheduler] = p
			c.Close()
		}
	}
	return parts
}

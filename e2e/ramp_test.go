package e2e

import (
	"fmt"
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
	parts := map[string][]float64{}
	for quarter := range quarters {
		d.addParts(t, parts, rs, begin.Add(rampTime*time.Duration(quarter+1)/quarters))
	}
	time.Sleep(rampTime / quarters)
	d.addParts(t, parts, rs, time.Now().Add(rampTime/2))
	for scheduler, part := range parts {
		t.Logf("%s: of the new connections %s got %.2f in the quarters of the ramp, %.2f after it", scheduler, rs.name, part[:quarters], part[quarters])
		const chance = 0.12
		for quarter, got := range part[:quarters] {
			if want := from + (to-from)*(float64(quarter)+0.5)/quarters; got < want-chance || got > want+chance {
				t.Errorf("%s: in quarter %d of the ramp %s got %.2f of the new connections, want %.2f", scheduler, quarter+1, rs.name, got, want)
			}
		}
		if after := part[quarters]; after < to-chance || after > to+chance {
			t.Errorf("%s: after the ramp %s got %.2f of the new connections, want %.2f", scheduler, rs.name, after, to)
		}
	}
}

// addParts adds what a real server gets of the new connections of each service until a time.
func (d *director) addParts(t *testing.T, parts map[string][]float64, rs *server, end time.Time) {
	t.Helper()
	mine, all := map[string]int{}, 0
	for ; time.Now().Before(end); all++ {
		for i, scheduler := range ramping {
			c, err := d.segment.client.connect(serviceAddress(firstPort + i))
			if err != nil {
				t.Fatal(err)
			}
			if c.server == rs.name {
				mine[scheduler]++
			}
			c.Close()
		}
	}
	for _, scheduler := range ramping {
		parts[scheduler] = append(parts[scheduler], float64(mine[scheduler])/float64(max(all, 1)))
	}
}

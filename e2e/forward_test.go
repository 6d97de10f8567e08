package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"testing"
)

// web is a service of all real servers' nginx. Its checks forgive much: a machine that stands still for a second is not what
// most tests are about.
const web = `services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    scheduler: maglev
    health_check: {type: http, interval: 1s, timeout: 900ms, rise: 1, fall: 10}
    real_servers:
      - {address: 192.168.57.121}
      - {address: 192.168.57.122}
      - {address: 192.168.57.123}
`

const webURL = "http://192.168.57.100/"

func TestTwentyClientsFetchTwoThousandPages(t *testing.T) {
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	const clients, pages = 20, 2000
	all := make(chan visit, pages)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			l, c := load{}, d.segment.client.visitor()
			for range pages / clients {
				l.visit(c, webURL)
			}
			for _, v := range l.visits {
				all <- v
			}
		})
	}
	group.Wait()
	close(all)
	var visits []visit
	for v := range all {
		visits = append(visits, v)
	}
	wantNoFailure(t, visits)
	counts := served(visits)
	for _, rs := range d.segment.servers {
		if counts[rs.name] < pages/10 {
			t.Errorf("%s served %d of %d pages, want a third or so: %v", rs.name, counts[rs.name], pages, counts)
		}
	}
	if live := d.service("web").Live; live.Connections != pages {
		t.Errorf("turnout counted %d connections, want %d", live.Connections, pages)
	}
}

func TestBigDownloadIsIntact(t *testing.T) {
	for device, s := range map[string]settings{"net_tap": {services: web}, "net_af_packet": {services: web, veth: true}} {
		t.Run(device, func(t *testing.T) {
			d := startDirector(t, s)
			d.waitServers("web", "up", 3)
			d.wantBigDownload()
		})
	}
}

// wantBigDownload fetches /big by curl.
func (d *director) wantBigDownload() {
	d.t.Helper()
	curl := exec.Command("curl", "-sS", "--fail", "-m", "120", fmt.Sprintf("http://%s/big", vip))
	sum := sha256.New()
	curl.Stdout = io.Writer(sum)
	if err := d.segment.client.start(curl); err != nil {
		d.t.Fatal(err)
	}
	if err := curl.Wait(); err != nil {
		d.t.Fatal(err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != d.segment.bigSum {
		d.t.Errorf("SHA-256 of what came is %s, want %s", got, d.segment.bigSum)
	}
}

package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"turnout/mgmt/api"
	"turnout/mgmt/events"
)

// lane stands between a real server and the bridge, and hands frames on in both directions. It can keep, or lose, what
// the real server answers clients from the VIP: not what it answers the director.
type lane struct {
	lan   *host
	rs    *server
	delay atomic.Int64 // of answers, in nanoseconds
	deaf  atomic.Bool  // SYN-ACKs are lost
	ends  [2]*os.File  // towards the real server, towards the bridge
	done  sync.WaitGroup
}

// narrow puts a lane between a real server and the bridge until the test ends.
func (d *director) narrow(rs *server) *lane {
	t, l := d.t, &lane{lan: d.segment.lan, rs: rs}
	t.Helper()
	t.Cleanup(l.remove)
	if err := l.insert(); err != nil {
		t.Fatal(err)
	}
	l.done.Add(2)
	go l.answers(d)
	go l.requests()
	return l
}

func (l *lane) insert() error {
	err := l.lan.ip(fmt.Sprintf("link add lane0 type veth peer name lane1\nlink set lane0 up\nlink set lane1 up\nlink set %s nomaster\nlink set lane1 master br0", l.rs.name))
	if err != nil {
		return err
	}
	return l.lan.do(func() error {
		for i, iface := range []string{l.rs.name, "lane0"} {
			end, err := openPacketSocket(iface, nil)
			if err != nil {
				return err
			}
			l.ends[i] = end
			if err := ignoreOutgoing(end); err != nil {
				return err
			}
		}
		return nil
	})
}

// ignoreOutgoing has a packet socket see only what comes in.
func ignoreOutgoing(socket *os.File) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	})
	return errors.Join(err, failed)
}

// remove puts the real server back on the bridge.
func (l *lane) remove() {
	for _, end := range l.ends {
		if end != nil {
			_ = end.Close()
		}
	}
	l.done.Wait()
	_ = l.lan.ip("link del lane0\nlink set " + l.rs.name + " master br0")
}

// late is a frame that goes on at its time.
type late struct {
	at    time.Time
	frame []byte
}

// answers hands on what comes from the real server.
func (l *lane) answers(d *director) {
	defer l.done.Done()
	queue := make(chan late, 1<<16)
	defer close(queue)
	l.done.Add(1)
	go l.send(queue)
	for frame := range frames(l.ends[0]) {
		to := l.ends[1]
		if !answersClient(d, frame) {
			_, _ = to.Write(frame)
			continue
		}
		if synAck := frame[34+13]&0x12 == 0x12; synAck && l.deaf.Load() {
			continue
		}
		queue <- late{time.Now().Add(time.Duration(l.delay.Load())), frame}
	}
}

func (l *lane) send(queue <-chan late) {
	defer l.done.Done()
	for f := range queue {
		time.Sleep(time.Until(f.at))
		_, _ = l.ends[1].Write(f.frame)
	}
}

// requests hands on what comes from the bridge.
func (l *lane) requests() {
	defer l.done.Done()
	for frame := range frames(l.ends[1]) {
		_, _ = l.ends[0].Write(frame)
	}
}

// frames reads a packet socket until it is closed.
func frames(from *os.File) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for buf := make([]byte, 1<<16); ; {
			n, err := from.Read(buf)
			switch {
			case errors.Is(err, os.ErrClosed):
				return
			case err == nil && !yield(append([]byte(nil), buf[:n]...)):
				return
			}
		}
	}
}

// answersClient tells TCP from the VIP that is not for the director, in frames without IPv4 options.
func answersClient(d *director, frame []byte) bool {
	if len(frame) < 54 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 || frame[14] != 0x45 || frame[23] != 6 {
		return false
	}
	dip, vip := d.dip.As4(), vip.As4()
	return [4]byte(frame[26:30]) == vip && [4]byte(frame[30:34]) != dip
}

// handshakes is what the metrics tell of a real server's handshakes.
type handshakes struct{ count, seconds float64 }

func (d *director) handshakes(rs *server) (h handshakes) {
	d.t.Helper()
	local := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: d.dialSocket}}
	text, err := fetch(context.Background(), local, "http://turnout/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	for name, to := range map[string]*float64{"count": &h.count, "sum": &h.seconds} {
		series := regexp.MustCompile(`turnout_real_server_handshake_seconds_` + name + `\{real_server="` + rs.address.String() + `",service="web"\} (\S+)`)
		found := series.FindStringSubmatch(text)
		if found == nil {
			d.t.Fatalf("no %v", series)
		}
		if *to, err = strconv.ParseFloat(found[1], 64); err != nil {
			d.t.Fatal(err)
		}
	}
	return h
}

// visits opens and closes connections to web, each from a port of its own, and returns how many failed.
func (d *director) visits(n int, limit time.Duration) (failed int64) {
	var all sync.WaitGroup
	var failures atomic.Int64
	for range n {
		all.Go(func() {
			conn, err := d.segment.client.dialWithin(limit, serviceAddress(80))
			if err != nil {
				failures.Add(1)
				return
			}
			conn.Close()
		})
		time.Sleep(5 * time.Millisecond)
	}
	all.Wait()
	return failures.Load()
}

// TestSlowAnswersMoveOneHistogram has one real server's answers come late.
func TestSlowAnswersMoveOneHistogram(t *testing.T) {
	const slower = 200 * time.Millisecond
	d := startDirector(t, settings{services: quickWeb})
	slow := d.segment.servers[0]
	lane := d.narrow(slow)
	d.waitServers("web", "up", 3)
	mean := func() (ms []float64) {
		var before []handshakes
		for _, rs := range d.segment.servers {
			before = append(before, d.handshakes(rs))
		}
		if failed := d.visits(120, 2*time.Second); failed > 0 {
			t.Errorf("%d visits failed", failed)
		}
		for i, rs := range d.segment.servers {
			after := d.handshakes(rs)
			if after.count < before[i].count+10 {
				t.Fatalf("%s has %v handshakes more, want 10", rs.name, after.count-before[i].count)
			}
			ms = append(ms, 1000*(after.seconds-before[i].seconds)/(after.count-before[i].count))
		}
		return ms
	}
	before := mean()
	lane.delay.Store(int64(slower))
	after := mean()
	t.Logf("mean time from SYN to ACK: %.1f ms before, %.1f ms after", before, after)
	for i, rs := range d.segment.servers {
		want := 0.0
		if rs == slow {
			want = float64(slower.Milliseconds())
		}
		if moved := after[i] - before[i]; math.Abs(moved-want) > 25 {
			t.Errorf("%s: moved by %.1f ms, want %.0f", rs.name, moved, want)
		}
	}
	if p99 := d.realServer("web", slow).Handshakes.P99MS; p99 == nil || *p99 < 192 || *p99 > 256 {
		t.Errorf("p99 %v, want 200 in a bucket of 192 to 256", p99)
	}
}

// TestServerThatDoesNotAnswerClientsIsEjected loses a real server's SYN-ACKs, of which its health checks see nothing.
func TestServerThatDoesNotAnswerClientsIsEjected(t *testing.T) {
	const eject = 3 * time.Second
	d := startDirector(t, settings{services: quickWeb[:len(quickWeb)-1] + "\n    outlier: {unanswered: 50%, min_syns: 10, eject: 3s, max_ejected: 34%}\n"})
	deaf := d.segment.servers[0]
	lane := d.narrow(deaf)
	d.waitServers("web", "up", 3)
	live := func() api.RealServerLive { return d.realServer("web", deaf) }
	visit := func() { d.visits(10, 300*time.Millisecond) }
	visit()
	lane.deaf.Store(true)
	waitState := func(want string, limit time.Duration) time.Duration {
		return eventually(t, limit, deaf.name+" is "+want, func() bool { visit(); return live().State == want })
	}
	t.Logf("ejected after %v", waitState("ejected", 15*time.Second))
	if l := live(); !l.Health.Up || time.Until(l.EjectedUntil) > eject {
		t.Errorf("health %+v, ejected until %v", l.Health, l.EjectedUntil)
	}
	if failed := d.visits(100, time.Second); failed > 0 {
		t.Errorf("%d of 100 visits failed while it was ejected", failed)
	}
	waitState("up", 2*eject)
	t.Logf("ejected again after %v", waitState("ejected", 15*time.Second))
	lane.deaf.Store(false)
	waitState("up", 4*eject)
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
		if failed := d.visits(20, time.Second); failed > 0 || live().State != "up" {
			t.Fatalf("mended: %d of 20 visits failed, it is %s", failed, live().State)
		}
	}
	if !d.told(events.Outlier, "web", deaf.address, "is ejected for 6s") || !d.told(events.Outlier, "web", deaf.address, "is tried again") {
		t.Errorf("the events do not tell of it: %v", d.events(events.Outlier))
	}
	if h := live().Handshakes; h.Syns < h.Answered+20 {
		t.Errorf("%d handshakes, %d answered: want 20 without an answer", h.Syns, h.Answered)
	}
}

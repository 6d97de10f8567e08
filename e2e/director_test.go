package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"turnout/mgmt/api"
)

// settings are what a test may want otherwise in turnout.yaml.
type settings struct {
	number   int    // 1, or 2 for a second director beside it: the last digit of DIP and MAC
	role     string // active unless given
	device   string // a net_tap device unless given
	veth     bool   // the device is a net_af_packet one, on a veth that is plugged in before the start
	dir      string // a folder of its own unless given
	peers    string // peer_macs, with commas between
	listen   string // more addresses, as in [a, b]: each with a comma before it
	services string // services.yaml
	more     string // more lines of turnout.yaml
	conflict bool   // another director has the VIPs: this one will not become ready
}

// director is a turnout that runs on a host of its own.
type director struct {
	t       *testing.T
	segment *segment
	host    *host
	dir     string
	dip     netip.Addr
	mac     string
	port    string // the kernel's end of the DPDK port, which goes to the bridge
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process is gone
	watch   *wire         // nil before the port is plugged in
	active  bool          // whether it shall answer for VIPs at the end of the test
	http    *http.Client
}

// newDirector makes a host with turnout's files; nothing runs yet. What runs at the test's end is looked at once more
// (see check) and stopped.
func newDirector(t *testing.T, s settings) *director {
	t.Helper()
	segment := needSegment(t)
	s.number = max(s.number, 1)
	h, err := newHost(fmt.Sprintf("director%d", s.number))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	d := &director{
		t: t, segment: segment, host: h, dir: s.dir, active: s.role != "standby" && !s.conflict,
		dip:  netip.AddrFrom4([4]byte{192, 168, 57, byte(110 + s.number)}),
		mac:  fmt.Sprintf("02:00:00:00:01:1%d", s.number),
		port: fmt.Sprintf("dp%d", s.number),
	}
	if d.dir == "" { // not t.TempDir: with a long test's name in it, a unix socket's path gets too long
		d.dir, err = os.MkdirTemp(scratch, h.name+"-")
	}
	if err != nil {
		t.Fatal(err)
	}
	// Until it is plugged in, the port's kernel end stands beside the DIP's interface (ARP flux).
	if err := h.sysctl("net/ipv4/conf/default/arp_ignore=1"); err != nil {
		t.Fatal(err)
	}
	d.write("turnout.yaml", d.configuration(s))
	d.write("services.yaml", s.services)
	d.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: d.dialSocket}}
	t.Cleanup(d.finish)
	return d
}

func (d *director) dialSocket(context.Context, string, string) (net.Conn, error) {
	return net.Dial("unix", d.socket())
}

func (d *director) socket() string          { return filepath.Join(d.dir, "turnout.sock") }
func (d *director) file(name string) string { return filepath.Join(d.dir, name) }
func (d *director) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(d.file(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// ip runs commands of ip(8) on the director's host.
func (d *director) ip(lines string) {
	d.t.Helper()
	if err := d.host.ip(lines); err != nil {
		d.t.Fatal(err)
	}
}

func (d *director) configuration(s settings) string {
	switch {
	case s.veth:
		s.device = "net_af_packet0,iface=eth0"
	case s.device == "":
		s.device = fmt.Sprintf("net_tap0,iface=%s,mac=%s", d.port, d.mac)
	}
	if s.role == "" {
		s.role = "active"
	}
	return fmt.Sprintf(`
dpdk: {main_lcore: 0, lcores: [1], hugepages: false, memory_mb: 64}
ports:
  - name: lan
    device: %q
    address: %s/24
    kernel_interface: dip0
    rx_descriptors: 512
    tx_descriptors: 512
    peer_macs: [%s]
flow_table: {entries: 65536}
maglev_key_file: %s
mgmt: {listen: ["unix:%s"%s], socket_group: root}
role: %s
%s`, s.device, d.dip, s.peers, d.file("maglev.key"), d.socket(), s.listen, s.role, s.more)
}

// startDirector starts a turnout, plugs it in (a veth comes first) and waits until it is ready and answers for its VIPs.
func startDirector(t *testing.T, s settings) *director {
	t.Helper()
	d := newDirector(t, s)
	if s.veth {
		d.plugVeth()
		d.run()
	} else {
		d.run()
		d.plug()
	}
	d.waitReady()
	return d
}

// run starts turnout.
func (d *director) run() {
	d.t.Helper()
	d.runAs(exec.Command(executable, "run", "-c", d.file("turnout.yaml")))
}

// runAs starts turnout by a command, in the director's folder and in mounts of its own.
func (d *director) runAs(cmd *exec.Cmd) {
	d.t.Helper()
	log, err := os.OpenFile(d.file("turnout.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	d.cmd, cmd.Dir = cmd, d.dir
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	// Where EAL keeps its run-time files: a folder that can be looked at afterwards.
	d.cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+d.file("eal"))
	if err := errors.Join(os.MkdirAll(d.file("eal"), 0o755), d.host.start(d.cmd)); err != nil {
		d.t.Fatal(err)
	}
	d.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(d.cmd, d.ended)
}

// plug moves the port's kernel end to the bridge. A bridge keeps for itself each frame addressed to one of its own
// ports, hence another MAC.
func (d *director) plug() {
	d.t.Helper()
	// Before it is done DPDK looks for it by its name.
	eventually(d.t, 20*time.Second, "turnout has started", func() bool {
		d.mustRun()
		return d.get("/healthz", nil) == nil
	})
	d.ip(fmt.Sprintf("link set %s netns %s", d.port, d.segment.lan.path()))
	inLAN := func(line string) {
		d.t.Helper()
		if err := d.segment.lan.ip(fmt.Sprintf("link set %s %s", d.port, line)); err != nil {
			d.t.Fatal(err)
		}
	}
	inLAN(fmt.Sprintf("address 02:00:00:00:ff:%02x master br0", d.dip.As4()[3]))
	d.watchPort()
	inLAN("up")
}

// plugVeth puts a veth with the director's MAC on the bridge. Without its offloads frames are as on a wire.
func (d *director) plugVeth() {
	d.t.Helper()
	if err := d.segment.plugInto(d.host, d.port, d.mac); err != nil {
		d.t.Fatal(err)
	}
	d.watchPort()
	d.ip("link set eth0 up")
}

// waitReady waits until turnout is ready and the state of each VIP is settled.
func (d *director) waitReady() {
	d.t.Helper()
	want := "announced"
	if !d.active {
		want = "standby"
	}
	eventually(d.t, 20*time.Second, "turnout is ready, its VIPs "+want, func() bool {
		d.mustRun()
		var s api.Status
		if d.get("/v1/status", &s) != nil || !s.Ready {
			return false
		}
		for _, v := range s.VIPs {
			if v.State != want {
				return false
			}
		}
		return true
	})
}

// in is the director for a part of its test.
func (d *director) in(t *testing.T) *director {
	part := *d
	part.t = t
	return &part
}

// mustRun fails the test when the process is gone.
func (d *director) mustRun() {
	d.t.Helper()
	if !d.running() {
		d.t.Fatalf("turnout ended: %v", d.cmd.ProcessState)
	}
}

func (d *director) running() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// finish is the end of every test: a last look, the log if something was wrong, and a stop.
func (d *director) finish() {
	if d.cmd != nil && d.running() {
		if d.watch != nil {
			d.check()
		}
		d.stop(syscall.SIGTERM)
	}
	if d.watch != nil {
		d.watch.close()
	}
	if d.t.Failed() {
		d.t.Logf("log of %s:\n%s", d.host.name, d.log())
	}
}

// stop sends a signal and waits for the end. It returns how long that took.
func (d *director) stop(signal os.Signal) time.Duration {
	d.t.Helper()
	start := time.Now()
	_ = d.cmd.Process.Signal(signal)
	select {
	case <-d.ended:
	case <-time.After(10 * time.Second):
		d.t.Errorf("turnout does not end within 10 s of %v", signal)
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	return time.Since(start)
}

// log is what turnout wrote to standard output and error.
func (d *director) log() string {
	text, _ := os.ReadFile(d.file("turnout.log"))
	return string(text)
}

// call asks the API over the unix socket. An answer that is no success is an error with the problem's text.
func (d *director) call(method, path string, body, answer any) error {
	text, err := d.ask(method, path, body)
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(text, answer)
}

// ask is call for an answer of whatever kind.
func (d *director) ask(method, path string, body any) (answer []byte, err error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, "http://localhost"+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := d.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, strings.TrimSpace(string(answer)))
	}
	return answer, err
}

func (d *director) get(path string, answer any) error {
	return d.call(http.MethodGet, path, nil, answer)
}

// must is call for what has to succeed.
func (d *director) must(method, path string, body, answer any) {
	d.t.Helper()
	if err := d.call(method, path, body, answer); err != nil {
		d.t.Fatal(err)
	}
}

func (d *director) status() (s api.Status) {
	d.t.Helper()
	d.must(http.MethodGet, "/v1/status", nil, &s)
	return s
}

// service is the live state of a service.
func (d *director) service(name string) (s api.Service) {
	d.t.Helper()
	d.must(http.MethodGet, "/v1/services/"+name, nil, &s)
	return s
}

// waitServers waits until n real servers of a service are in a state.
func (d *director) waitServers(service, state string, n int) {
	d.t.Helper()
	eventually(d.t, 20*time.Second, fmt.Sprintf("%d real servers of %s are %s", n, service, state), func() bool {
		have := 0
		for _, rs := range d.service(service).Live.RealServers {
			if rs.State == state {
				have++
			}
		}
		return have == n
	})
}

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
)

// TestCaptureShowsARequestBeforeAndAfter fetches a page while turnout captures three frames: SYN, ACK, and the request.
func TestCaptureShowsARequestBeforeAndAfter(t *testing.T) {
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	c := d.capture("--service", "web", "--client", clientAddress.String(), "--count", "3", "--seconds", "20")
	if second := d.get("/v1/capture?seconds=1", nil); second == nil || !strings.Contains(second.Error(), "another capture is under way") {
		t.Errorf("a second capture: %v", second)
	}
	l := load{}
	l.visit(d.segment.client.visitor(), webURL)
	wantNoFailure(t, l.visits)
	if err := c.Wait(); err != nil || c.errs.String() != "6 packets\n" {
		t.Fatalf("turnout capture: %v, said %q, want 6 packets", err, c.errs.String())
	}
	server := d.segment.servers[slices.IndexFunc(d.segment.servers, func(rs *server) bool { return rs.name == l.visits[0].server })]
	before := fmt.Sprintf("lan rx\t%s\t%s\t%v\t%v\treceived: lcore 1, service web\n", clientMAC, d.mac, clientAddress, vip)
	after := fmt.Sprintf("lan tx\t%s\t%s\t%v\t%v\tforwarded: real server %v, lcore 1, service web, flow ", d.mac, server.mac, clientAddress, vip, server.address)
	want := before + after + "syn_received\n" + before + after + "established\n" + before + after + "established\n"
	if got := c.tshark("frame.interface_name", "eth.src", "eth.dst", "ip.src", "ip.dst", "frame.comment"); got != want {
		t.Errorf("tshark shows\n%s\nwant\n%s", got, want)
	}
	if frames := c.frames(); len(frames) != 6 || !bytes.Contains(frames[4], []byte("GET / HTTP/1.1")) {
		t.Errorf("%d frames, want 6 with the request in the fifth: % x", len(frames), frames)
	}
	c.wantPairs()
}

// TestCaptureCanBeEnded ends a capture that waits for more, by Ctrl-C.
func TestCaptureCanBeEnded(t *testing.T) {
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	c := d.capture("--count", "1000", "--seconds", "600")
	l := load{}
	l.visit(d.segment.client.visitor(), webURL)
	eventually(t, 5*time.Second, "the frames are in the file while the capture goes on", func() bool { return len(c.frames()) >= 6 })
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil || !strings.HasSuffix(c.errs.String(), " packets\n") {
		t.Errorf("turnout capture: %v, said %q", err, c.errs.String())
	}
	if lines := strings.Count(c.tshark("frame.number"), "\n"); lines != len(c.frames()) {
		t.Errorf("tshark reads %d packets of %d", lines, len(c.frames()))
	}
	c.wantPairs()
	eventually(t, 5*time.Second, "the next capture may begin", func() bool { _, err := d.ask(http.MethodGet, "/v1/capture?seconds=1", nil); return err == nil })
}

// captureCommand is a turnout capture.
type captureCommand struct {
	*exec.Cmd
	t    *testing.T
	file string
	errs bytes.Buffer
}

// capture begins one, and returns once it is under way.
func (d *director) capture(args ...string) *captureCommand {
	d.t.Helper()
	c := &captureCommand{t: d.t, file: d.file("capture.pcapng")}
	c.Cmd = d.client(append([]string{"capture", "-w", c.file}, args...)...)
	c.Stderr = &c.errs
	if err := c.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Process.Kill() }) // it has ended unless the test failed
	eventually(d.t, 5*time.Second, "a capture is under way", func() bool {
		info, err := os.Stat(c.file)
		return err == nil && info.Size() > 0
	})
	return c
}

// tshark shows fields of the packets in the file, a line each.
func (c *captureCommand) tshark(fields ...string) string {
	c.t.Helper()
	args := []string{"-r", c.file, "-n", "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		c.t.Fatalf("tshark: %v", err)
	}
	return string(out)
}

func (c *captureCommand) frames() [][]byte {
	c.t.Helper()
	file, err := os.ReadFile(c.file)
	if err != nil {
		c.t.Fatal(err)
	}
	return readFrames(c.t, file)
}

// wantPairs compares the frames before and after: only the MACs may differ, and must.
func (c *captureCommand) wantPairs() {
	c.t.Helper()
	for pair := range slices.Chunk(c.frames(), 2) {
		before, after := pair[0], pair[1]
		if !bytes.Equal(before[12:], after[12:]) {
			c.t.Errorf("the packet changed:\n% x\n% x", before, after)
		}
		if bytes.Equal(before[:6], after[:6]) || bytes.Equal(before[6:12], after[6:12]) {
			c.t.Errorf("the MACs are as before: % x", after[:12])
		}
	}
}

func readFrames(t *testing.T, file []byte) (frames [][]byte) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		f, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // it may be being written
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
}

// TestDroppedFramesAreFound sends a frame for every reason that frames from the wire can be dropped for by themselves, and
// finds each again by the command, with its reason.
func TestDroppedFramesAreFound(t *testing.T) {
	d := startDirector(t, settings{services: web})
	d.waitServers("web", "up", 3)
	w := d.segment.client.tap(t, "eth0", filterARP)
	sent := map[string][]byte{
		"no_service": tcpPacket{to: d.mac, port: 81}.frame(t),
		"not_for_us": tcpPacket{to: "02:00:00:00:0f:0f", port: 80}.frame(t), // nobody's: the bridge sends it to all
		"loop":       fromMAC(tcpPacket{to: d.mac, port: 80}.frame(t), d.segment.servers[0].mac),
	}
	for reason, changes := range malformed() {
		sent[reason] = tcpPacket{to: d.mac, port: 80, change: changes[len(changes)-1]}.frame(t)
	}
	begin := time.Now()
	for _, f := range sent {
		w.send(t, f)
	}
	for reason, f := range sent {
		eventually(t, 5*time.Second, "a frame is dropped for reason "+reason, func() bool { return d.status().Books.Drops[reason] > 0 })
		file, err := d.client("drops", reason, "-w", "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(readFrames(t, file), func(kept []byte) bool { return bytes.Equal(bytes.TrimRight(kept, "\x00"), bytes.TrimRight(f, "\x00")) }) {
			t.Errorf("the frame is not among those dropped for reason %s", reason)
		}
		tshark := exec.Command("tshark", "-r", "-", "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.comment")
		tshark.Stdin = bytes.NewReader(file)
		lines, err := tshark.Output()
		if err != nil {
			t.Fatal(err)
		}
		ours := 0
		for line := range strings.Lines(string(lines)) {
			epoch, comment, _ := strings.Cut(line, "\t")
			if !strings.HasPrefix(comment, "dropped: "+reason+", lcore 1") {
				t.Errorf("among those dropped for reason %s: %q", reason, comment)
			}
			seconds, err := strconv.ParseFloat(epoch, 64)
			if err != nil {
				t.Fatal(err)
			}
			if since := time.UnixMicro(int64(seconds * 1e6)).Sub(begin); since > -10*time.Millisecond && since < 5*time.Second {
				ours++
			}
		}
		if ours == 0 {
			t.Errorf("none of those dropped for reason %s was so since %v:\n%s", reason, begin, lines)
		}
	}
}

func fromMAC(f []byte, mac string) []byte {
	copy(f[6:], mustMAC(mac))
	return f
}

// TestPacketContentsNeedTheRightToWrite asks for packets over TCP, without credentials.
func TestPacketContentsNeedTheRightToWrite(t *testing.T) {
	d := startDirector(t, settings{services: web, listen: `, "127.0.0.1:9180"`})
	for path, want := range map[string]string{
		"/v1/drops": "200", "/v1/drops/no_service.pcapng": "403", "/v1/capture": "403",
	} {
		curl := exec.Command("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:9180"+path)
		var code bytes.Buffer
		curl.Stdout = &code
		if err := d.host.start(curl); err != nil {
			t.Fatal(err)
		}
		if err := curl.Wait(); err != nil {
			t.Fatal(err)
		}
		if code.String() != want {
			t.Errorf("GET %s on loopback: status %s, want %s", path, code.String(), want)
		}
	}
}

// client is one of turnout's that asks the director.
func (d *director) client(args ...string) *exec.Cmd {
	return exec.Command(executable, append(args, "--server", "unix:"+d.socket())...)
}

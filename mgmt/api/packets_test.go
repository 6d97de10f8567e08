package api_test

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
)

// packet is what a capture file says of one.
type packet struct {
	Interface, Comment string
	At                 time.Time
	Length, Captured   int
}

// readPcapng reads a capture file.
func readPcapng(file []byte) (all []packet, err error) {
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		return nil, err
	}
	for {
		data, info, options, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		face, err := r.Interface(info.InterfaceIndex)
		if err != nil {
			return all, err
		}
		all = append(all, packet{face.Name, strings.Join(options.Comments, "\n"), info.Timestamp.UTC(), info.Length, len(data)})
	}
}

func wantPackets(t *testing.T, w *httptest.ResponseRecorder, want ...packet) {
	t.Helper()
	if kind := w.Header().Get("Content-Type"); w.Code != 200 || kind != "application/x-pcapng" {
		t.Fatalf("status %d, %s: %s", w.Code, kind, w.Body)
	}
	got, err := readPcapng(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDroppedPackets(t *testing.T) {
	h := handler(t, apitest.New(), unixSocket)
	get := func(file string) *httptest.ResponseRecorder {
		return call{method: "GET", path: "/v1/drops/" + file}.send(h)
	}
	wantPackets(t, get("no_service.pcapng"), packet{"lan rx", "dropped: no_service, lcore 1", apitest.Now, 1514, 42})
	wantPackets(t, get("loop.pcapng"))
	for file, says := range map[string]string{
		"nonsense.pcapng": `reason "nonsense"`, "no_service": "want a reason and .pcapng", "no_service.pcap": "want a reason and .pcapng", ".pcapng": `reason ""`,
	} {
		if w := get(file); w.Code != 404 || !strings.Contains(w.Body.String(), strings.ReplaceAll(says, `"`, `\"`)) {
			t.Errorf("%s: status %d: %s", file, w.Code, w.Body)
		}
	}
}

func TestCapture(t *testing.T) {
	d := apitest.New()
	h := handler(t, d, unixSocket)
	get := func(query string) *httptest.ResponseRecorder {
		return call{method: "GET", path: "/v1/capture", query: query}.send(h)
	}
	before, after := "received: lcore 1, service web", "forwarded: real server 192.168.57.121, lcore 1, service web, flow established"
	wantPackets(t, get("service=web&client=192.168.57.135&count=7&seconds=3"),
		packet{"lan rx", before, apitest.Now.Add(-2 * time.Second), 42, 42}, packet{"lan tx", after, apitest.Now.Add(-2 * time.Second), 42, 42},
		packet{"lan rx", before, apitest.Now.Add(-time.Second), 42, 42}, packet{"lan tx", after, apitest.Now.Add(-time.Second), 42, 42},
	)
	wantPackets(t, get("count=1"), packet{"lan rx", before, apitest.Now.Add(-time.Second), 42, 42}, packet{"lan tx", after, apitest.Now.Add(-time.Second), 42, 42})
	wantQueries := []api.CaptureQuery{
		{Service: "web", Client: netip.MustParseAddr("192.168.57.135"), Count: 7, Limit: 3 * time.Second}, {Count: 1, Limit: 10 * time.Second},
	}
	if diff := cmp.Diff(wantQueries, d.Captured, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	for query, status := range map[string]int{
		"service=none": 404, "count=0": 422, "count=100001": 422, "seconds=601": 422, "client=web": 422, "vip=192.168.57.100": 422,
	} {
		if w := get(query); w.Code != status {
			t.Errorf("%s: status %d, want %d: %s", query, w.Code, status, w.Body)
		}
	}
	d.CaptureError = api.ErrCapturing
	if w := get(""); w.Code != 409 || !strings.Contains(w.Body.String(), "another capture is under way") {
		t.Errorf("beside another one: status %d: %s", w.Code, w.Body)
	}
}

// TestTsharkReadsPackets has another program read what was written.
func TestTsharkReadsPackets(t *testing.T) {
	needProgram(t, "tshark")
	h := handler(t, apitest.New(), unixSocket)
	file := filepath.Join(t.TempDir(), "capture.pcapng")
	if err := os.WriteFile(file, call{method: "GET", path: "/v1/capture?count=1"}.send(h).Body.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields("-n -T fields -e frame.time_epoch -e frame.interface_name -e frame.packet_flags_direction -e eth.dst -e arp.dst.proto_ipv4 -e frame.comment")
	out, err := exec.Command("tshark", append([]string{"-r", file}, fields...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "1795431783.000000000\tlan rx\t0x00000001\tff:ff:ff:ff:ff:ff\t192.168.57.100\treceived: lcore 1, service web\n" +
		"1795431783.000000000\tlan tx\t0x00000002\t02:00:00:00:01:21\t192.168.57.100\tforwarded: real server 192.168.57.121, lcore 1, service web, flow established\n"
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Error(diff)
	}
}

// needProgram skips the test where a program is missing, and fails it in CI.
func needProgram(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else if err != nil {
		t.Skipf("%v: scripts/deps.sh test installs it", err)
	}
}

package lcore_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"turnout/lcore"
	"turnout/mgmt/api"
	"turnout/mgmt/director"
	"turnout/mgmt/events"
	"turnout/mgmt/store"
)

// townFile is the town's first service as a director knows it: its real server a is .121, b .122, c .123.
const townFile = `services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    health_check: {type: none}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}, {address: 192.168.57.123}]
`

// droppedAs tells by reason which story drops a frame for it, and what the API says of the decision.
var droppedAs = map[string]struct{ story, comment string }{
	"too_short":        {"too_short", ""},
	"not_for_us":       {"not_for_us", ", service web, no flow"},
	"loop":             {"loop_real_server_of_the_vip", ", service web, no flow"},
	"bad_version":      {"bad_version", ""},
	"bad_header":       {"bad_header", ""},
	"bad_length":       {"bad_length", ""},
	"fragment":         {"fragment", ""},
	"protocol":         {"protocol", ""},
	"icmp":             {"icmp", ""},
	"no_service":       {"no_service", ""},
	"no_real_server":   {"no_real_server", ", service web, real server 192.168.57.121, flow syn_received"},
	"real_server_down": {"real_server_down", ", service web, real server 192.168.57.121, flow established"},
	"standby":          {"standby", ""},
	"no_flow":          {"no_flow", ", service web, no flow"},
	"punt_limited":     {"punt_limited", ", punt kind echo"},
	"punt_full":        {"punt_full", ", punt kind dip"},
}

// TestEveryDropIsFoundThroughTheAPI has a frame dropped for every reason, asks the API for the reason's frames, and has tshark
// look for the frame and the comment in what is answered.
func TestEveryDropIsFoundThroughTheAPI(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else if err != nil {
		t.Skipf("%v: scripts/deps.sh test installs it", err)
	}
	var files []byte // one after the other, which pcapng allows
	dropped := map[string][]byte{}
	for reason := range lcore.Reasons {
		want, known := droppedAs[reason.String()]
		if !known {
			t.Errorf("reason %s: no story is named for it", reason)
			continue
		}
		s := storyOf(t, want.story)
		b := newBench(t, 1024, s.spec)
		got, f := s.firstDrop(t, b)
		if got != reason {
			t.Errorf("story %s drops for reason %s, not %s", s.name, got, reason)
		}
		dropped["dropped: "+reason.String()+", lcore 1"+want.comment] = f
		files = append(files, fetch(t, serve(t, b), "/v1/drops/"+reason.String()+".pcapng")...)
	}
	packets := tshark(t, files)
	for comment, f := range dropped {
		if !slices.ContainsFunc(packets, func(p dissected) bool { return p.is(f) && p.Layers.Comment.Text == comment }) {
			t.Errorf("the frame % x is not there with the comment %q: %+v", f, comment, packets)
		}
	}
}

// A dissected packet is one as tshark shows it.
type dissected struct {
	Layers struct {
		Raw     string `json:"frame_raw"` // hexadecimal
		Comment struct {
			Text string `json:"frame_frame_comment"`
		} `json:"pkt_comment"`
		Frame struct {
			Length  int     `json:"frame_frame_len,string"`
			Seconds float64 `json:"frame_frame_time_epoch,string"`
		}
	}
}

// tshark reads a capture file.
func tshark(t *testing.T, file []byte) (packets []dissected) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drops.pcapng")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tshark", "-r", path, "-n", "-T", "ek", "-x", "-J", "frame pkt_comment").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	for line := range bytes.Lines(out) {
		var p dissected
		if bytes.HasPrefix(line, []byte(`{"index"`)) { // stands before every packet
			continue
		}
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		packets = append(packets, p)
	}
	return packets
}

// is says whether it is a frame, or its beginning, that was received in the last minute.
func (p *dissected) is(f []byte) bool {
	age := time.Since(time.UnixMicro(int64(p.Layers.Frame.Seconds * 1e6)))
	return p.Layers.Raw == hex.EncodeToString(f[:min(len(f), lcore.KeptBytes)]) && p.Layers.Frame.Length == len(f) && age > 0 && age < time.Minute
}

// serve runs the API on a unix socket, with a director whose one lcore is the bench's worker, and returns the socket's path.
func serve(t *testing.T, b *bench) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "services.yaml")
	if err := os.WriteFile(path, []byte(townFile), 0o600); err != nil {
		t.Fatal(err)
	}
	disk, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	config := director.Config{
		Store: disk, Role: api.RoleActive, TSCHz: tscHz, TSC: func() uint64 { return b.queue.Now }, Port: lan{}, PortMAC: portMAC,
		DIP: netip.MustParsePrefix("192.168.57.120/24"), Lcores: []director.Lcore{{ID: 1, Worker: b.Worker}},
		Drains: store.OpenDrains(path + ".drains"), Events: events.New(), Log: zap.NewNop(),
	}
	silence(&config)
	d := director.New(config)
	run(t, d.Run)
	if err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	server, err := api.Listen(api.Config{Listen: []string{"unix:" + socket}, Director: d, Metrics: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	run(t, server.Run)
	return socket
}

type lan struct{}

func (lan) Brief() api.Port { return api.Port{Name: "lan", LinkUp: true} }

// silence sets every function that is not set to one that returns zero values.
func silence(c *director.Config) {
	for _, field := range reflect.ValueOf(c).Elem().Fields() {
		if field.Kind() == reflect.Func && field.IsNil() {
			field.Set(reflect.MakeFunc(field.Type(), func([]reflect.Value) (zeros []reflect.Value) {
				for result := range field.Type().Outs() {
					zeros = append(zeros, reflect.Zero(result))
				}
				return zeros
			}))
		}
	}
}

// run has something run until the test ends.
func run(t *testing.T, work func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- work(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// fetch is what a GET answers.
func fetch(t *testing.T, socket, path string) []byte {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) },
	}}
	answer, err := client.Get("http://turnout" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v, %s: %s", path, err, answer.Status, body)
	}
	return body
}

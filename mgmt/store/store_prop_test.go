package store

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"
)

var testSegment = Segment{Exec: true, DIPs: []netip.Prefix{netip.MustParsePrefix("192.168.57.120/24")}}

func ip(last int) netip.Addr { return netip.AddrFrom4([4]byte{192, 168, 57, byte(last)}) }

// drawState draws a valid State: names and VIPs from small sets, so that drawn States share services.
func drawState(t *rapid.T) State {
	state := State{Services: []Service{}}
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"web", "dns", "80", "true", "a.b-c", "1e3", "y", "no"}), 0, 5, rapid.ID[string]).Draw(t, "names")
	for i, name := range names {
		state.Services = append(state.Services, drawService(t, name, ip(100+i)))
	}
	return state
}

func drawService(t *rapid.T, name string, vip netip.Addr) Service {
	svc := newService()
	svc.Name, svc.VIP = name, vip
	svc.Protocol = rapid.SampledFrom([]Protocol{TCP, UDP}).Draw(t, "protocol")
	svc.Port = rapid.SampledFrom([]uint16{0, 53, 80, 65535}).Draw(t, "port")
	svc.Scheduler = rapid.SampledFrom(schedulers.known).Draw(t, "scheduler")
	svc.Maglev.TableSize = rapid.SampledFrom([]int{65537, 251, 1009}).Draw(t, "table_size")
	svc.Maglev.Hash = rapid.SampledFrom([]HashKey{HashFiveTuple, HashSource}).Draw(t, "hash")
	drawAvailability(t, &svc)
	flowTimeout := rapid.Map(rapid.SampledFrom([]int{1, 60, 90, 120, 300, 900, 86400}), func(s int) Duration { return Duration(time.Duration(s) * time.Second) })
	svc.Timeouts = Timeouts{flowTimeout.Draw(t, "established"), flowTimeout.Draw(t, "syn"), flowTimeout.Draw(t, "fin"), flowTimeout.Draw(t, "udp")}
	svc.HealthChecks = drawChecks(t, svc)
	for _, last := range rapid.SliceOfNDistinct(rapid.IntRange(121, 126), 0, 4, rapid.ID[int]).Draw(t, "real servers") {
		rs := RealServer{Address: ip(last), Weight: rapid.SampledFrom([]uint16{0, 1, 7, 65535}).Draw(t, "weight")}
		if rapid.Bool().Draw(t, "static") {
			rs.MAC = fmt.Sprintf("02:00:00:00:01:%02x", last)
		}
		rs.UpperThreshold = rapid.SampledFrom([]uint32{0, 2, 4294967295}).Draw(t, "upper_threshold")
		if rs.UpperThreshold > 0 {
			rs.LowerThreshold = rapid.Uint32Range(0, 1).Draw(t, "lower_threshold")
		}
		svc.RealServers = append(svc.RealServers, rs)
	}
	return svc
}

// drawAvailability draws how changes of weights and states take effect, and what happens when real servers are down.
func drawAvailability(t *rapid.T, svc *Service) {
	ramp := rapid.SampledFrom([]Duration{0, Duration(30 * time.Second), maxRamp})
	svc.SlowStart, svc.Gradual = ramp.Draw(t, "slow_start"), ramp.Draw(t, "gradual")
	svc.Persistence = rapid.SampledFrom([]Duration{0, minFlowTimeout, maxFlowTimeout}).Draw(t, "persistence")
	svc.PersistencePrefix = rapid.Uint8Range(minPrefix, maxPrefix).Draw(t, "persistence_prefix")
	svc.OnePacket = svc.Protocol == UDP && svc.Persistence == 0 && rapid.Bool().Draw(t, "one_packet")
	svc.StrictTCP = svc.Protocol == TCP && rapid.Bool().Draw(t, "strict_tcp")
	svc.OnDown = OnDown(rapid.SampledFrom(onDowns.known).Draw(t, "on_down"))
	svc.NoRealServer = Refusal(rapid.SampledFrom(refusals.known).Draw(t, "no_real_server"))
	svc.Outlier = Outlier{MinSyns: rapid.SampledFrom([]uint32{1, 20}).Draw(t, "min_syns"), Eject: rapid.SampledFrom([]Duration{minEject, maxEject}).Draw(t, "eject"),
		MaxEjected: Percent(rapid.IntRange(1, 100).Draw(t, "max_ejected"))}
	if svc.Protocol == TCP {
		svc.Outlier.Unanswered = Percent(rapid.SampledFrom([]int{0, 1, 100}).Draw(t, "unanswered"))
	}
	svc.Quorum = rapid.SampledFrom([]uint32{1, 2, 4294967295}).Draw(t, "quorum")
	svc.Hysteresis = rapid.SampledFrom([]uint32{0, svc.Quorum - 1}).Draw(t, "hysteresis")
	svc.SorryServer = rapid.SampledFrom([]SorryServer{{}, {Address: ip(119)}, {Address: ip(118), MAC: "02:00:00:00:01:18"}}).Draw(t, "sorry_server")
}

func drawVia(t *rapid.T, svc Service, check HealthCheck) Via {
	if svc.pathPort(check) == 0 {
		return rapid.SampledFrom([]Via{"", ViaRIP}).Draw(t, "via")
	}
	return rapid.SampledFrom([]Via{"", ViaRIP, ViaDR}).Draw(t, "via")
}

func drawChecks(t *rapid.T, svc Service) HealthChecks {
	if rapid.Bool().Draw(t, "default checks") {
		return defaultChecks(svc)
	}
	var checks HealthChecks
	for range rapid.IntRange(1, 3).Draw(t, "checks") {
		check := newCheck(CheckType(rapid.SampledFrom(checkTypes.known[1:]).Draw(t, "type")), svc)
		if check.Type != CheckICMP {
			check.Port = rapid.SampledFrom([]uint16{80, 8080}).Draw(t, "check port")
		}
		check.Fall = rapid.IntRange(1, 5).Draw(t, "fall")
		check.Via = drawVia(t, svc, check)
		check.Initial = rapid.SampledFrom([]Initial{InitialDown, InitialUp}).Draw(t, "initial")
		drawExpectations(t, &check)
		checks = append(checks, check)
	}
	return checks
}

// drawExpectations draws what only some types of check have.
func drawExpectations(t *rapid.T, check *HealthCheck) {
	draw := func(to *string, key string, choices ...string) { *to = rapid.SampledFrom(choices).Draw(t, key) }
	anyText := []string{"", "ok", "200", "true", "null", "~", "- a", "#", "a: b", "'", `"`, `\x41`, "\u00e9\U0001f600", `"\"`, "a  b", " a ", "</p>"}
	switch check.Type {
	case CheckHTTP, CheckHTTPS:
		draw(&check.Host, "host", "", "a.example", "a.example:8080", "192.0.2.1")
		draw(&check.Path, "path", "/", "/ok", "/a?b=c#d", `/"`, "/a:,{}[]")
		check.Status = rapid.SampledFrom([]StatusSet{"200-299", "200", "200,301", "200-204,401-404"}).Draw(t, "status")
		draw(&check.Body, "body", anyText...)
		draw(&check.BodyRegex, "body_regex", "", "^ok$", `"status":\s*"(up|ok)"`, "a{2}")
	case CheckUDP:
		draw(&check.Send, "send", anyText...)
		if check.Send == "" {
			draw(&check.SendHex, "send_hex", "", "00", "1e10", "ff00")
		}
		check.Reply = rapid.Bool().Draw(t, "reply")
	case CheckDNS:
		draw(&check.Query, "query", "a.example", ".", "1", "_sip._udp.example.org.")
		draw(&check.QueryType, "query_type", queryTypes.known...)
		draw(&check.Rcode, "rcode", rcodes.known...)
	case CheckExec:
		draw(&check.File, "file", "check", "1", "true", "check-ldap.sh")
	}
	if check.Type == CheckHTTPS {
		draw(&check.SNI, "sni", "", "a.example", "1", "no")
		check.TLSVerify = rapid.Bool().Draw(t, "tls_verify")
	}
}

// layouts are ways to write a State.
var layouts = map[string]func(State) ([]byte, error){
	"ours": func(s State) ([]byte, error) { return edited([]byte("services: []\n"), s) },
	"yaml": func(s State) ([]byte, error) { return yaml.Marshal(s) },
	"indented": func(s State) ([]byte, error) {
		return yaml.MarshalWithOptions(s, yaml.Indent(4), yaml.IndentSequence(true))
	},
	"json":       func(s State) ([]byte, error) { return json.Marshal(s) },
	"json lines": func(s State) ([]byte, error) { return json.MarshalIndent(s, "", "  ") },
	"windows": func(s State) ([]byte, error) {
		text, err := yaml.Marshal(s)
		return []byte(strings.ReplaceAll(string(text), "\n", "\r\n")), err
	},
	"no last line feed": func(s State) ([]byte, error) {
		text, err := edited([]byte("services: []"), s)
		return []byte(strings.TrimRight(string(text), "\n")), err
	},
}

// Whatever the layout of a file, it can be edited to say any other State.
func TestEditProperty(t *testing.T) {
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { checkEdits(t, layout) })
		})
	}
}

func checkEdits(t *rapid.T, layout func(State) ([]byte, error)) {
	text, err := layout(drawState(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		state := drawState(t)
		after, err := edited(text, state)
		if err != nil {
			t.Fatalf("%v\nfile:\n%s\nstate: %+v", err, text, state)
		}
		text = after
	}
}

// What is saved is what is loaded.
func TestSaveLoadProperty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.yaml")
	if err := os.WriteFile(path, []byte("services: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Load(testSegment); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		want := drawState(t)
		if err := s.Save(want); err != nil {
			t.Fatal(err)
		}
		got, _, err := s.Load(testSegment)
		if err != nil || !sameServices(got.Services, want.Services) {
			t.Fatalf("loaded %+v, %v\nwant %+v", got, err, want)
		}
	})
}

// A State that goes out through the API as JSON comes back the same.
func TestJSONProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawState(t)
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeJSON(data)
		if err != nil || !sameServices(got.Services, want.Services) {
			t.Fatalf("%s\ngave %+v, %v", data, got, err)
		}
	})
}

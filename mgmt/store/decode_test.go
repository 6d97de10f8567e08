package store

import (
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"turnout/sched"
)

// web is a service with the least that one must have.
const web = `
services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
`

func webService() Service {
	svc := newService()
	svc.Name, svc.VIP, svc.Protocol, svc.Port = "web", netip.MustParseAddr("192.168.57.100"), TCP, 80
	svc.HealthChecks = HealthChecks{{
		Type: CheckTCP, Port: 80, Interval: Duration(2 * time.Second), Timeout: Duration(time.Second), Rise: 2, Fall: 3, Initial: InitialDown,
	}}
	return svc
}

func wantMistakes(t *testing.T, err error, want ...string) {
	t.Helper()
	var mistakes *Mistakes
	if !errors.As(err, &mistakes) {
		t.Fatalf("error %v, want mistakes %q", err, want)
	}
	if got := err.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got mistakes\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestDecodeDefaults(t *testing.T) {
	got, err := Decode([]byte(web), "services.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := State{Services: []Service{{
		Name: "web", VIP: netip.MustParseAddr("192.168.57.100"), Protocol: TCP, Port: 80,
		Scheduler: "maglev", Maglev: Maglev{TableSize: 65537, Hash: HashFiveTuple},
		PersistencePrefix: 32, OnDown: OnDownReschedule, NoRealServer: RefuseDrop, Quorum: 1,
		Outlier: Outlier{MinSyns: 20, Eject: Duration(30 * time.Second), MaxEjected: 30},
		Timeouts: Timeouts{
			Established: Duration(15 * time.Minute), SynReceived: Duration(time.Minute),
			FinWait: Duration(2 * time.Minute), UDP: Duration(5 * time.Minute),
		},
		HealthChecks: HealthChecks{{
			Type: CheckTCP, Port: 80, Interval: Duration(2 * time.Second), Timeout: Duration(time.Second), Rise: 2, Fall: 3, Initial: InitialDown,
		}},
	}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestDecodeHealthCheckDefaults(t *testing.T) {
	tcp := func(port uint16) HealthCheck {
		return HealthCheck{Type: CheckTCP, Port: port, Interval: Duration(2 * time.Second), Timeout: Duration(time.Second), Rise: 2, Fall: 3, Initial: InitialDown}
	}
	of := func(t CheckType, port uint16) HealthCheck {
		check := tcp(port)
		check.Type = t
		return check
	}
	http := of(CheckHTTP, 80)
	http.Path, http.Status = "/", "200-299"
	https := http
	https.Type, https.Port, https.SNI, https.TLSVerify, https.Status = CheckHTTPS, 443, "a.example", true, "204"
	expecting := http
	expecting.Host, expecting.Path, expecting.Status, expecting.Body, expecting.BodyRegex = "b.example", "/ok", "200,301-302", "ok", "^o"
	dns := of(CheckDNS, 53)
	dns.Query, dns.QueryType, dns.Rcode = "a.example", "A", "NOERROR"
	negative := dns
	negative.Port, negative.QueryType, negative.Rcode = 5353, "NS", "NXDOMAIN"
	text, binary := of(CheckUDP, 514), of(CheckUDP, 53)
	text.Send, text.Reply = "ping", true
	binary.SendHex = "1b00"
	exec := of(CheckExec, 0)
	exec.File, exec.Initial = "check-ldap", InitialUp
	slow := tcp(8080)
	slow.Interval, slow.Fall = Duration(time.Minute), 1
	tests := []struct {
		name, protocol, port, check string
		want                        HealthChecks
	}{
		{"tcp", "tcp", "80", "", HealthChecks{tcp(80)}},
		{"udp has none", "udp", "53", "", HealthChecks{{Type: CheckNone}}},
		{"every port has none", "tcp", "0", "", HealthChecks{{Type: CheckNone}}},
		{"tcp without type", "tcp", "80", "health_check: {interval: 1m, fall: 1, port: 8080}", HealthChecks{slow}},
		{"http", "tcp", "80", "health_check: {type: http}", HealthChecks{http}},
		{"a list", "tcp", "80", "health_check: [{type: http}, {type: tcp, port: 25}]", HealthChecks{http, tcp(25)}},
		{"none", "tcp", "80", "health_check: {type: none}", HealthChecks{{Type: CheckNone}}},
		{"of udp, with a port", "udp", "53", "health_check: {type: tcp, port: 53}", HealthChecks{tcp(53)}},
		{"of udp, without", "udp", "53", "health_check: {type: tcp}", HealthChecks{tcp(0)}}, // Validate refuses it
		{"expectations", "tcp", "80", `health_check: {type: http, host: b.example, path: /ok, status: "200,301-302", body: ok, body_regex: ^o}`, HealthChecks{expecting}},
		{"https", "tcp", "443", "health_check: {type: https, sni: a.example, tls_verify: true, status: 204}", HealthChecks{https}},
		{"icmp", "tcp", "80", "health_check: {type: icmp}", HealthChecks{of(CheckICMP, 0)}},
		{"udp", "udp", "514", "health_check: {type: udp, send: ping, reply: true}", HealthChecks{text}},
		{"udp of bytes", "udp", "53", `health_check: {type: udp, send_hex: "1b00", reply: false, initial: down}`, HealthChecks{binary}},
		{"udp of tcp", "tcp", "53", "health_check: {type: udp}", HealthChecks{of(CheckUDP, 0)}}, // Validate refuses it
		{"dns", "udp", "53", "health_check: {type: dns, query: a.example}", HealthChecks{dns}},
		{"dns of tcp", "tcp", "53", "health_check: {type: dns, query: a.example}", HealthChecks{dns}},
		{"dns, an error wanted", "udp", "53", "health_check: {type: dns, port: 5353, query: a.example, query_type: NS, rcode: NXDOMAIN}", HealthChecks{negative}},
		{"exec", "tcp", "0", "health_check: {type: exec, file: check-ldap, initial: up}", HealthChecks{exec}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := "services: [{name: x, vip: 192.0.2.1, protocol: " + tt.protocol + ", port: " + tt.port + ", " + tt.check + "}]"
			got, err := Decode([]byte(text), "services.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Services[0].HealthChecks, tt.want) {
				t.Errorf("got %+v\nwant %+v", got.Services[0].HealthChecks, tt.want)
			}
		})
	}
}

// mistakesTest is a file and what is wrong with it.
type mistakesTest struct {
	name string
	text string
	want []string // without the file's name and the colon
}

func decodesWrong(t *testing.T, tests []mistakesTest) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode([]byte(tt.text), "services.yaml")
			for i := range tt.want {
				tt.want[i] = "services.yaml:" + tt.want[i]
			}
			wantMistakes(t, err, tt.want...)
		})
	}
}

func TestDecodeMistakes(t *testing.T) {
	decodesWrong(t, []mistakesTest{
		{"an empty file", "", []string{`1: the file is empty: write "services: []" if no service is meant`}},
		{"comments only", "# nothing\n", []string{`1: the file is empty: write "services: []" if no service is meant`}},
		{"nothing under services", "services:\n", []string{`1: services: is empty: write "services: []" if no service is meant`}},
		{"no services", "service: []\n", []string{
			`1: service: unknown key: did you mean "services"?`,
			`1: services: is missing`,
		}},
		{"a list", "- services\n", []string{`1: is a list: write a mapping (key: value)`}},
		{"two documents", "services: []\n---\nservices: []\n", []string{`3: a second YAML document begins here: only one is read; delete the line ---`}},
		{"syntax", "services:\n  - name: web\n   vip: 1\n", []string{`3: YAML syntax, column 4: value is not allowed in this context`}},
		{"a tab", "services:\n\t- name: web\n", []string{`2: YAML syntax, column 1: a tab: indent with spaces`}},
		{"an anchor", "services: &a []\n", []string{`1: anchors (&), aliases (*) and merges (<<) are not read here: write the value out, since the API edits each place by itself`}},
		{"an alias", web + "    real_servers: *x\n", []string{`7: anchors (&), aliases (*) and merges (<<) are not read here: write the value out, since the API edits each place by itself`}},
		{"a tag", web + "    real_servers: !!seq []\n", []string{`7: tags (!) are not read here: write the plain value`}},
		{"nothing that is needed", "services:\n  - {}\n  - name: web\n    real_servers: [{}]\n", []string{
			`2: services[0].name: is missing`,
			`2: services[0].vip: is missing`,
			`2: services[0].protocol: is missing`,
			`2: services[0].port: is missing`,
			`3: services[web].vip: is missing`,
			`3: services[web].protocol: is missing`,
			`3: services[web].port: is missing`,
			`4: services[web].real_servers[0].address: is missing`,
		}},
		{"unknown and repeated keys", web + "    prot: tcp\n    port: 81\n    maglev: {size: 251}\n    health_check: {typ: tcp}\n    timeouts: {syn: 1s}\n    real_servers:\n      - {address: 192.168.57.121, wieght: 1}\n", []string{
			`7: services[web].prot: unknown key: did you mean "port"?`,
			`8: services[web].port: is given twice, first in line 6: keep one`,
			`9: services[web].maglev.size: unknown key: known here are hash, table_size`,
			`10: services[web].health_check.typ: unknown key: did you mean "type"?`,
			`11: services[web].timeouts.syn: unknown key: known here are established, fin_wait, syn_received, udp`,
			`13: services[web].real_servers[192.168.57.121].wieght: unknown key: did you mean "weight"?`,
		}},
		{"wrong types", "services:\n  - name: 80\n    vip: [192.168.57.100]\n    protocol: true\n    port: web\n    scheduler:\n    maglev: 251\n    timeouts: []\n    health_check: tcp\n    real_servers: {}\n  - web\n", []string{
			`2: services[0].name: is a number: write text, in quotes: "80"`,
			`3: services[0].vip: is a list: write text`,
			`4: services[0].protocol: is true or false: write text, in quotes: "true"`,
			`5: services[0].port: is text: write a whole number`,
			`6: services[0].scheduler: is empty: write text`,
			`7: services[0].maglev: is a number: write a mapping (key: value)`,
			`8: services[0].timeouts: is a list: write a mapping (key: value)`,
			`9: services[0].health_check: is text: write {type: none} if real servers are not to be checked`,
			`10: services[0].real_servers: is a mapping: write a list`,
			`11: services[1]: is text: write a mapping (key: value)`,
		}},
		{"numbers", web + "    maglev: {table_size: 1.5}\n    health_check: {port: 0, rise: 0x2, fall: -1}\n    real_servers: [{address: 192.168.57.121, weight: 65536}, {address: 192.168.57.122, weight: 4294967296}]\n", []string{
			`7: services[web].maglev.table_size: is a number: write a whole number`,
			`8: services[web].health_check.port: 0 is out of range: 1 to 65535`,
			`8: services[web].health_check.rise: 0x2: write a decimal number`,
			`8: services[web].health_check.fall: -1 is out of range: at least 0`,
			`9: services[web].real_servers[192.168.57.121].weight: 65536 is out of range: 0 to 65535`,
			`9: services[web].real_servers[192.168.57.122].weight: 4294967296 is out of range: 0 to 65535`,
		}},
		{"durations", web + "    timeouts: {established: 15, syn_received: 1d, fin_wait: }\n    health_check: {interval: soon}\n", []string{
			`7: services[web].timeouts.established: 15 has no unit: write a duration such as 15s`,
			`7: services[web].timeouts.syn_received: "1d" is not a duration: write a number and ms, s, m or h, such as 30s or 10m`,
			`7: services[web].timeouts.fin_wait: is empty: write text`,
			`8: services[web].health_check.interval: "soon" is not a duration: write a number and ms, s, m or h, such as 30s or 10m`,
		}},
		{"addresses", "services:\n  - {name: a, vip: 192.168.57.256, protocol: tcp, port: 1}\n  - {name: b, vip: \"2001:db8::1\", protocol: tcp, port: 1, real_servers: [{address: \"fe80::1\"}, {address: 192.168.57.1/24}]}\n", []string{
			`2: services[a].vip: "192.168.57.256" is not an IPv4 address, such as 192.168.57.100`,
			`3: services[b].vip: 2001:db8::1: IPv6 is not available in this version`,
			`3: services[b].real_servers[0].address: fe80::1: IPv6 is not available in this version`,
			`3: services[b].real_servers[1].address: "192.168.57.1/24" is not an IPv4 address, such as 192.168.57.100`,
		}},
		{"words", "services:\n  - name: web\n    vip: 192.168.57.100\n    protocol: tpc\n    port: 80\n    scheduler: robin\n    maglev: {hash: five_tuple}\n    health_check: [{type: gopher}, {type: tpc}]\n", []string{
			`4: services[web].protocol: "tpc" is unknown: use tcp, udp`,
			`6: services[web].scheduler: "robin" is unknown: use ` + strings.Join(sched.Names(), ", "),
			`7: services[web].maglev.hash: "five_tuple" is unknown: did you mean "five-tuple"?`,
			`8: services[web].health_check[0].type: "gopher" is unknown: use none, tcp, http, https, icmp, udp, dns, exec`,
			`8: services[web].health_check[1].type: "tpc" is unknown: use none, tcp, http, https, icmp, udp, dns, exec`,
		}},
		{"schedulers of IPVS", "services:\n  - {name: a, vip: 192.168.57.100, protocol: tcp, port: 1, scheduler: lblc}\n  - {name: b, vip: 192.168.57.100, protocol: tcp, port: 2, scheduler: lblcr}\n", []string{
			`2: services[a].scheduler: lblc: ` + noLBLC,
			`3: services[b].scheduler: lblcr: ` + noLBLC,
		}},
		{"no checks", web + "    health_check: []\n", []string{
			`7: services[web].health_check: is empty: write {type: none} if real servers are not to be checked`,
		}},
		{"keys of another check", web + "    health_check:\n      - {type: none, interval: 1s}\n      - {type: tcp, path: /}\n      - {type: http, tls_verify: true}\n" +
			"      - {type: icmp, port: 7}\n      - {type: dns, send: x}\n      - {type: udp, file: x}\n      - {type: exec, rcode: NOERROR}\n      - {type: https, command: /bin/true}\n", []string{
			`8: services[web].health_check[0].interval: a check of type none has no other key: delete it, or choose another type`,
			`9: services[web].health_check[1].path: a check of type tcp has no such key: delete it, or choose type http or https`,
			`10: services[web].health_check[2].tls_verify: a check of type http has no such key: delete it, or choose type https`,
			`11: services[web].health_check[3].port: a check of type icmp has no such key: delete it, or choose type tcp or http or https or udp or dns or exec`,
			`12: services[web].health_check[4].send: a check of type dns has no such key: delete it, or choose type udp`,
			`13: services[web].health_check[5].file: a check of type udp has no such key: delete it, or choose type exec`,
			`14: services[web].health_check[6].rcode: a check of type exec has no such key: delete it, or choose type dns`,
			`15: services[web].health_check[7].command: unknown key: known here are body, body_regex, fall, file, host, initial, interval, path, port, query, query_type, rcode, reply, rise, send, send_hex, sni, status, timeout, tls_verify, type, via`,
		}},
		{"values of checks", web + "    health_check:\n      - {type: udp, reply: 1, send: 2, initial: on, send_hex: 10}\n      - {type: dns, query: [], query_type: ANY, rcode: NX}\n" +
			"      - {type: http, status: {}, body: 1.5}\n      - {type: https, tls_verify: \"on\"}\n      - type: udp\n        send: |\n          ping\n", []string{
			`8: services[web].health_check[0].reply: is a number: write true or false`,
			`8: services[web].health_check[0].send: is a number: write text, in quotes: "2"`,
			`8: services[web].health_check[0].initial: "on" is unknown: use down, up`,
			`8: services[web].health_check[0].send_hex: is a number: write text, in quotes: "10"`,
			`9: services[web].health_check[1].query: is a list: write text`,
			`9: services[web].health_check[1].query_type: "ANY" is unknown: use A, AAAA, CAA, CNAME, DNSKEY, DS, HTTPS, MX, NAPTR, NS, PTR, SOA, SRV, TXT`,
			`9: services[web].health_check[1].rcode: "NX" is unknown: use NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED`,
			`10: services[web].health_check[2].status: is a mapping: write text`,
			`10: services[web].health_check[2].body: is a number: write text, in quotes: "1.5"`,
			`11: services[web].health_check[3].tls_verify: is text: write true or false`,
			`13: services[web].health_check[4].send: is a block of text: write text, in quotes, in one line`,
		}},
		{"a real server's port", web + "    real_servers: [{address: 192.168.57.121, port: 8080}]\n", []string{
			`7: services[web].real_servers[192.168.57.121].port: a real server has no port of its own: direct routing hands on the packet as it came, so the port cannot be translated; delete it and let the real server listen on the service's port`,
		}},
	})
}

// A file that is nested without end is refused before it costs anything.
func TestDecodeNesting(t *testing.T) {
	for _, opening := range []string{"[", "{a: ", "- "} {
		_, err := Decode([]byte(strings.Repeat(opening, 100_000)), "services.yaml")
		wantMistakes(t, err, "services.yaml:1: nested too deep for a list of services")
	}
	_, err := DecodeJSON([]byte(`{"services": ` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + "}"))
	wantMistakes(t, err, "nested too deep for a list of services")
}

// What is not built is refused.
func TestNotAvailable(t *testing.T) {
	lines := []string{"protocol: sctp"}
	for _, key := range plannedServiceKeys {
		lines = append(lines, key+": 1")
	}
	for _, key := range plannedCheckKeys {
		lines = append(lines, "health_check: {"+key+": 1}")
	}
	for _, key := range plannedRealServerKeys {
		lines = append(lines, "real_servers: [{address: 192.168.57.121, "+key+": 1}]")
	}
	for _, line := range lines {
		text := "services: [{name: web, vip: 192.168.57.100, protocol: tcp, port: 80, " + line + "}]"
		text = strings.Replace(text, "protocol: tcp, port: 80, protocol", "port: 80, protocol", 1)
		_, err := Decode([]byte(text), "services.yaml")
		var mistakes *Mistakes
		if !errors.As(err, &mistakes) || len(mistakes.List) != 1 || !strings.Contains(err.Error(), notAvailable) {
			t.Errorf("%s: got %v", line, err)
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	const body = `{
		"generation": 7,
		"services": [{
			"name": "web", "vip": "192.168.57.100", "protocol": "tcp", "port": 80,
			"health_check": {"type": "http", "path": "\/\u0061"},
			"real_servers": [{"address": "192.168.57.121"}],
			"live": {"packets": 1, "real_servers": []}
		}, {"name": "dns", "vip": "192.168.57.100", "protocol": "udp", "port": 53, "real_servers": null}]
	}`
	got, err := DecodeJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	first := webService()
	first.HealthChecks[0].Type, first.HealthChecks[0].Path, first.HealthChecks[0].Status = CheckHTTP, "/a", "200-299"
	first.RealServers = []RealServer{{Address: ip(121), Weight: 1}}
	second := webService()
	second.Name, second.Protocol, second.Port, second.HealthChecks = "dns", UDP, 53, HealthChecks{{Type: CheckNone}}
	if want := (State{Services: []Service{first, second}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestDecodeJSONMistakes(t *testing.T) {
	_, err := DecodeJSON([]byte(`{"services": [{"name": "web", "vip": "192.168.57.100", "protocol": "tcp", "port": 80, "port": 81, "persistence": 60, "livee": 1}]}`))
	wantMistakes(t, err,
		`services[web].port: is given twice: keep one`,
		`services[web].persistence: 60 has no unit: write a duration such as 60s`,
		`services[web].livee: unknown key: known here are gradual, health_check, hysteresis, maglev, name, no_real_server, on_down, one_packet, outlier, persistence, persistence_prefix, port, protocol, quorum, real_servers, scheduler, slow_start, sorry_server, strict_tcp, timeouts, vip`)
	_, err = DecodeJSON([]byte(`{"services": [}`))
	wantMistakes(t, err, `not readable as JSON: invalid character '}' looking for beginning of value`)
	_, err = DecodeJSON([]byte(`services: []`))
	wantMistakes(t, err, `not readable as JSON: invalid character 's' looking for beginning of value`)
	_, err = DecodeService([]byte(`{"name": "web", "scheduler": "mh", "real_servers": [{"address": "192.168.57.121", "weight": "1"}]}`))
	wantMistakes(t, err,
		`scheduler: mh: write maglev, which mh is in IPVS, with maglev: {hash: source} for IPVS's default of hashing the client address alone`,
		`real_servers[192.168.57.121].weight: is text: write a whole number`,
		`vip: is missing`, `protocol: is missing`, `port: is missing`)
	_, err = DecodeRealServer([]byte(`[]`))
	wantMistakes(t, err, `is a list: write a mapping (key: value)`)
}

func TestDecodeParts(t *testing.T) {
	svc, err := DecodeService([]byte(`{"name": "web", "vip": "192.168.57.100", "protocol": "tcp", "port": 80}`))
	if err != nil || !reflect.DeepEqual(svc, webService()) {
		t.Errorf("got %+v, %v", svc, err)
	}
	rs, err := DecodeRealServer([]byte(`{"address": "192.168.57.121", "weight": 0, "mac": "02:00:00:00:01:21"}`))
	if want := (RealServer{Address: ip(121), MAC: "02:00:00:00:01:21"}); err != nil || rs != want {
		t.Errorf("got %+v, %v", rs, err)
	}
}

func TestDurationText(t *testing.T) {
	tests := map[time.Duration]string{
		0: "0s", 1500 * time.Millisecond: "1.5s", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", 20 * time.Hour: "20h",
		time.Hour + 30*time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s", -time.Minute: "-1m",
	}
	for d, want := range tests {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
		var back Duration
		if err := back.UnmarshalText([]byte(want)); err != nil || time.Duration(back) != d {
			t.Errorf("%s is read as %v, %v", want, back, err)
		}
	}
}

// No input makes Decode panic, every mistake has a line, and what is accepted can be written back as it is.
func FuzzDecode(f *testing.F) {
	example, err := os.ReadFile("../../docs/examples/services.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(example), web, "", "services: []", "- a", "services: &a [*a]", "\xff", "a: \x01", "services:\n\t-", "{", "[[[[[[",
		"services: [{name: web, vip: 1, vip: 2, <<: {}}]", "? a\n: b", "services: !!map {}", "--- a\n...\n--- b", "%YAML 1.2\n---\nservices: []",
		"services: |\n  text", web + "    real_servers:\n      -\n      - address: \"192.168.57.121\"\n        mac: 0\n", "services: []\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		state, err := Decode(data, "services.yaml")
		if err == nil {
			if _, err := edited(data, state); err != nil && !errors.Is(err, ErrLayout) {
				t.Errorf("accepted, but cannot be edited: %v", err)
			}
			return
		}
		var mistakes *Mistakes
		if !errors.As(err, &mistakes) || len(mistakes.List) == 0 {
			t.Fatalf("%T: %v", err, err)
		}
		for _, m := range mistakes.List {
			if m.Line < 1 || m.Line > strings.Count(string(data), "\n")+strings.Count(string(data), "\r")+1 || m.Text == "" {
				t.Errorf("line %d of %q: %s", m.Line, data, m)
			}
		}
	})
}

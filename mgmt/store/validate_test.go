package store

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"turnout/sched"
)

// validState has one service with one real server, on testSegment.
func validState() State {
	svc := webService()
	svc.RealServers = []RealServer{{Address: ip(121), Weight: 1}}
	return State{Services: []Service{svc}}
}

// validateTest changes a valid state, and names the mistakes that are in it then.
type validateTest struct {
	name   string
	change func(s *State)
	want   []string
}

func validates(t *testing.T, tests []validateTest) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := validState()
			tt.change(&s)
			_, err := s.Validate(testSegment)
			if tt.want == nil && err != nil {
				t.Error(err)
			}
			if tt.want != nil {
				wantMistakes(t, err, tt.want...)
			}
		})
	}
}

// withSecond adds a service that is like the first one but for its name, its L4 port and a change.
func withSecond(change func(svc *Service)) func(s *State) {
	return func(s *State) {
		svc := validState().Services[0]
		svc.Name, svc.Port = "second", 81
		change(&svc)
		s.Services = append(s.Services, svc)
	}
}

func TestValidate(t *testing.T) {
	check := func(change func(c *HealthCheck)) func(s *State) {
		return func(s *State) { change(&s.Services[0].HealthChecks[0]) }
	}
	vip := func(addr string) func(s *State) {
		return func(s *State) { s.Services[0].VIP = netip.MustParseAddr(addr) }
	}
	rip := func(addr string) func(s *State) {
		return func(s *State) { s.Services[0].RealServers[0].Address = netip.MustParseAddr(addr) }
	}
	mac := func(mac string) func(s *State) {
		return func(s *State) { s.Services[0].RealServers[0].MAC = mac }
	}
	name := func(name string) func(s *State) {
		return func(s *State) { s.Services[0].Name = name }
	}
	const badName = `: write 1 to 63 of a-z, 0-9, dot and dash, a letter or digit first`
	validates(t, []validateTest{
		{"no name", name(""), []string{`services[0].name: ""` + badName}},
		{"capitals", name("Web"), []string{`services[0].name: "Web"` + badName}},
		{"a dash first", name("-web"), []string{`services[0].name: "-web"` + badName}},
		{"64 letters", name(strings.Repeat("a", 64)), []string{`services[0].name: "` + strings.Repeat("a", 64) + `"` + badName}},
		{"63 letters", name(strings.Repeat("a", 63)), nil},
		{"a name twice", withSecond(func(svc *Service) { svc.Name = "web" }), []string{
			"services[web].name: another service has this name: choose a new one",
		}},
		{"an L4 port twice", withSecond(func(svc *Service) { svc.Port = 80 }), []string{
			"services[second]: tcp port 80 on 192.168.57.100 is that of services[web] already: change vip, protocol or port",
		}},
		{"tcp and udp", withSecond(func(svc *Service) { svc.Protocol, svc.Port = UDP, 80 }), nil},
		{"every other L4 port", withSecond(func(svc *Service) { svc.Port = 0 }), nil},
		{"another VIP", withSecond(func(svc *Service) { svc.VIP, svc.Port = ip(101), 80 }), nil},
		{"protocol", func(s *State) { s.Services[0].Protocol = "" }, []string{`services[web].protocol: "" is unknown: use tcp, udp`}},

		{"no VIP", func(s *State) { s.Services[0].VIP = netip.Addr{} }, []string{"services[web].vip: write an IPv4 address"}},
		{"the DIP", vip("192.168.57.120"), []string{"services[web].vip: 192.168.57.120 is the director's own address (DIP): a VIP must be another one, that no host has"}},
		{"unspecified", vip("0.0.0.0"), []string{"services[web].vip: 0.0.0.0 is the unspecified address: write an address that clients can reach"}},
		{"multicast", vip("224.0.0.5"), []string{"services[web].vip: 224.0.0.5 is a multicast address: write an address that clients can reach"}},
		{"loopback", vip("127.0.0.1"), []string{"services[web].vip: 127.0.0.1 is a loopback address: write an address that clients can reach"}},
		{"broadcast", vip("255.255.255.255"), []string{"services[web].vip: 255.255.255.255 is the broadcast address: write an address that clients can reach"}},
		{"the subnet's broadcast", vip("192.168.57.255"), []string{"services[web].vip: 192.168.57.255 is the broadcast address of 192.168.57.0/24: write an address that clients can reach"}},
		{"the subnet", vip("192.168.57.0"), []string{"services[web].vip: 192.168.57.0 is the network address of 192.168.57.0/24: write an address that clients can reach"}},

		{"the DIP as RIP", rip("192.168.57.120"), []string{"services[web].real_servers[192.168.57.120].address: 192.168.57.120 is the director's own address (DIP): the director cannot be its own real server"}},
		{"a VIP as RIP", rip("192.168.57.100"), []string{"services[web].real_servers[192.168.57.100].address: 192.168.57.100 is the VIP of services[web]: write the real server's own address (RIP)"}},
		{"a RIP beyond the segment", rip("192.168.58.121"), []string{"services[web].real_servers[192.168.58.121].address: 192.168.58.121 is in no port's subnet: direct routing needs the real server on the director's own segment"}},
		{"a broadcast RIP", rip("192.168.57.255"), []string{"services[web].real_servers[192.168.57.255].address: 192.168.57.255 is the broadcast address of 192.168.57.0/24: write the real server's own address (RIP)"}},
		{"no RIP", func(s *State) { s.Services[0].RealServers[0].Address = netip.Addr{} }, []string{"services[web].real_servers[0].address: write an IPv4 address"}},
		{"a RIP twice", func(s *State) {
			s.Services[0].RealServers = append(s.Services[0].RealServers, RealServer{Address: ip(121)})
		}, []string{"services[web].real_servers[192.168.57.121]: is listed twice: keep one"}},
		{"a RIP in two services", withSecond(func(*Service) {}), nil},

		{"a static MAC", mac("02:00:00:00:01:21"), nil},
		{"no MAC", mac("02:00:00:00:01"), []string{`services[web].real_servers[192.168.57.121].mac: "02:00:00:00:01" is not a MAC address, such as "02:00:00:00:01:22"`}},
		{"an EUI-64", mac("02:00:00:00:01:21:00:00"), []string{`services[web].real_servers[192.168.57.121].mac: "02:00:00:00:01:21:00:00" is not a MAC address, such as "02:00:00:00:01:22"`}},
		{"a multicast MAC", mac("01:00:5e:00:00:01"), []string{`services[web].real_servers[192.168.57.121].mac: 01:00:5e:00:00:01 is no host's own address: write the MAC of the real server's NIC`}},
		{"the zero MAC", mac("00:00:00:00:00:00"), []string{`services[web].real_servers[192.168.57.121].mac: 00:00:00:00:00:00 is no host's own address: write the MAC of the real server's NIC`}},
		{"two MACs", func(s *State) {
			mac("02:00:00:00:01:21")(s)
			withSecond(func(svc *Service) { svc.RealServers[0].MAC = "02:00:00:00:01:22" })(s)
		}, []string{"services[second].real_servers[192.168.57.121].mac: 192.168.57.121 has the MAC 02:00:00:00:01:21 in another service: write the same one, or none"}},
		{"one MAC written twice", func(s *State) {
			mac("02:00:00:00:01:ab")(s)
			withSecond(func(svc *Service) { svc.RealServers[0].MAC = "02:00:00:00:01:AB" })(s)
		}, nil},

		{"scheduler", func(s *State) { s.Services[0].Scheduler = "maglef" }, []string{`services[web].scheduler: "maglef" is unknown: did you mean "maglev"?`}},
		{"a table that is not prime", func(s *State) { s.Services[0].Maglev.TableSize = 65536 }, []string{
			"services[web].maglev.table_size: " + sched.ValidTableSize(65536).Error(),
		}},
		{"a small table", func(s *State) { s.Services[0].Maglev.TableSize = 7 }, []string{
			"services[web].maglev.table_size: " + sched.ValidTableSize(7).Error(),
		}},
		{"more servers than positions", func(s *State) {
			s.Services[0].Maglev.TableSize = 251
			s.Services[0].RealServers = nil
			for i := range 252 {
				s.Services[0].RealServers = append(s.Services[0].RealServers, RealServer{Address: netip.AddrFrom4([4]byte{192, 168, 57, byte(i)})})
			}
			s.Services[0].RealServers[0].Address = ip(253)
			s.Services[0].RealServers[100].Address = ip(254)
			s.Services[0].RealServers[120].Address = ip(252)
		}, []string{"services[web].maglev.table_size: 251 is less than the 252 real servers: use a prime of at least 25200"}},
		{"hash", func(s *State) { s.Services[0].Maglev.Hash = "" }, []string{`services[web].maglev.hash: "" is unknown: use five-tuple, source`}},
		{"timeouts", func(s *State) {
			s.Services[0].Timeouts = Timeouts{Established: Duration(24*time.Hour + 1), SynReceived: 0, FinWait: Duration(-time.Second), UDP: Duration(time.Second)}
		}, []string{
			"services[web].timeouts.established: 24h0m0.000000001s is out of range: 1s to 24h",
			"services[web].timeouts.syn_received: 0s is out of range: 1s to 24h",
			"services[web].timeouts.fin_wait: -1s is out of range: 1s to 24h",
		}},

		{"no check", func(s *State) { s.Services[0].HealthChecks = nil }, []string{
			"services[web].health_check: is empty: write {type: none} if real servers are not to be checked",
		}},
		{"check type", check(func(c *HealthCheck) { c.Type = "gopher" }), []string{
			`services[web].health_check.type: "gopher" is unknown: use none, tcp, http, https, icmp, udp, dns, exec`,
		}},
		{"check numbers", check(func(c *HealthCheck) {
			c.Interval, c.Timeout, c.Rise, c.Fall = Duration(99*time.Millisecond), Duration(time.Second), 0, 101
		}), []string{
			"services[web].health_check.interval: 99ms is out of range: 100ms to 1h",
			"services[web].health_check.timeout: 1s is out of range: 10ms to 99ms",
			"services[web].health_check.rise: 0 is out of range: 1 to 100",
			"services[web].health_check.fall: 101 is out of range: 1 to 100",
		}},
		{"none among others", func(s *State) {
			s.Services[0].HealthChecks = append(s.Services[0].HealthChecks, HealthCheck{Type: CheckNone})
		}, []string{"services[web].health_check[1].type: none stands alone: delete it, or the other checks"}},
		{"a check without an L4 port", check(func(c *HealthCheck) { c.Port = 0 }), []string{
			"services[web].health_check.port: is missing: this service has no TCP port of its own that could be checked; give the check one, or type none",
		}},
		{"http", check(func(c *HealthCheck) { c.Type, c.Path, c.Host = CheckHTTP, "/ok?x=%20", "a.example:8080" }), nil},
		{"a request split in two", check(func(c *HealthCheck) { c.Type, c.Path, c.Host = CheckHTTP, "/ HTTP/1.1\r\nX: y", "a\nb" }), []string{
			`services[web].health_check.path: "/ HTTP/1.1\r\nX: y": write a path that begins with / and holds no spaces`,
			`services[web].health_check.host: "a\nb": write a host name, with :port if the real servers ask for it`,
		}},
		{"https", check(func(c *HealthCheck) {
			c.Type, c.Path, c.Host, c.SNI, c.TLSVerify = CheckHTTPS, "/", "a.example", "www.a_b.example", true
			c.Status, c.Body, c.BodyRegex = "200-299,304,401-401", "größer \"x\" 😀", `^\s*{"up":\s*true`
		}), nil},
		{"an address as SNI", check(func(c *HealthCheck) { c.Type, c.Path, c.SNI = CheckHTTPS, "/", "192.0.2.1" }), []string{
			`services[web].health_check.sni: "192.0.2.1": write a host name, no address (RFC 6066 section 3) and no port`,
		}},
		{"a port in SNI", check(func(c *HealthCheck) { c.Type, c.Path, c.SNI = CheckHTTPS, "/", "a.example:443" }), []string{
			`services[web].health_check.sni: "a.example:443": write a host name, no address (RFC 6066 section 3) and no port`,
		}},
		{"expectations", check(func(c *HealthCheck) {
			c.Type, c.Path, c.Status, c.Body, c.BodyRegex = CheckHTTP, "/", "200,30x", "a\r\nb", "("
		}), []string{
			`services[web].health_check.status: "30x": write codes of 200 to 599 and ranges of them, such as 200-299,301`,
			`services[web].health_check.body: "a\r\nb": write characters that print; use body_regex, with \n and the like, for others`,
			"services[web].health_check.body_regex: error parsing regexp: missing closing ): `(`: write an expression as RE2 knows them",
		}},
		{"much expected", check(func(c *HealthCheck) {
			c.Type, c.Path, c.Body, c.BodyRegex = CheckHTTP, "/", strings.Repeat("x", 1025), strings.Repeat("y", 1024)
		}), []string{`services[web].health_check.body: 1025 bytes: at most 1024 are possible`}},
		{"icmp", check(func(c *HealthCheck) { c.Type, c.Port, c.Initial = CheckICMP, 0, InitialUp }), nil},
		{"initial", check(func(c *HealthCheck) { c.Initial = "" }), []string{`services[web].health_check.initial: "" is unknown: use down, up`}},
		{"udp", check(func(c *HealthCheck) { c.Type, c.Send, c.Reply = CheckUDP, strings.Repeat("x", 1472), true }), nil},
		{"udp of bytes", check(func(c *HealthCheck) { c.Type, c.SendHex = CheckUDP, "00fF" }), nil},
		{"udp, two payloads", check(func(c *HealthCheck) { c.Type, c.Send, c.SendHex = CheckUDP, "x\x00", "00f" }), []string{
			`services[web].health_check.send_hex: send is given as well: keep one`,
			`services[web].health_check.send: "x\x00": write characters that print; use send_hex for others`,
			`services[web].health_check.send_hex: "00f": write two hexadecimal digits for each byte, such as 1b00ff, of at most 1472 bytes`,
		}},
		{"udp without a port", check(func(c *HealthCheck) { c.Type, c.Port = CheckUDP, 0 }), []string{
			"services[web].health_check.port: is missing: this service has no UDP port of its own that could be checked; give the check one, or type none",
		}},
		{"dns", check(func(c *HealthCheck) { c.Type, c.Query, c.QueryType, c.Rcode = CheckDNS, ".", "NS", "REFUSED" }), nil},
		{"dns, all wrong", check(func(c *HealthCheck) { c.Type, c.Port = CheckDNS, 0 }), []string{
			"services[web].health_check.port: is missing: this service has no UDP port of its own that could be checked; give the check one, or type none",
			`services[web].health_check.query: "": write the name to ask for, such as www.example.org`,
			`services[web].health_check.query_type: "" is unknown: did you mean "A"?`,
			`services[web].health_check.rcode: "" is unknown: use NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED`,
		}},
		{"dns, no name", check(func(c *HealthCheck) { c.Type, c.Query, c.QueryType, c.Rcode = CheckDNS, "a..b", "A", "NOERROR" }), []string{
			`services[web].health_check.query: "a..b": write the name to ask for, such as www.example.org`,
		}},
		{"exec", check(func(c *HealthCheck) { c.Type, c.Port, c.File = CheckExec, 0, "check-ldap.sh" }), nil},
		{"exec of a path", check(func(c *HealthCheck) { c.Type, c.File = CheckExec, "../check" }), []string{
			`services[web].health_check.file: "../check": write the name of a file in health.exec_dir, neither a path nor a command`,
		}},
		{"exec of a command", check(func(c *HealthCheck) { c.Type, c.File = CheckExec, "check -a" }), []string{
			`services[web].health_check.file: "check -a": write the name of a file in health.exec_dir, neither a path nor a command`,
		}},
		{"exec of nothing", check(func(c *HealthCheck) { c.Type = CheckExec }), []string{
			`services[web].health_check.file: "": write the name of a file in health.exec_dir, neither a path nor a command`,
		}},
		{"exec of a hidden file", check(func(c *HealthCheck) { c.Type, c.File = CheckExec, ".." }), []string{
			`services[web].health_check.file: "..": write the name of a file in health.exec_dir, neither a path nor a command`,
		}},
		{"a relative path", check(func(c *HealthCheck) { c.Type, c.Path = CheckHTTP, "ok" }), []string{
			`services[web].health_check.path: "ok": write a path that begins with / and holds no spaces`,
		}},
	})
}

// Without health.exec_dir no exec check is taken.
func TestExecIsOff(t *testing.T) {
	s := validState()
	s.Services[0].HealthChecks[0].Type, s.Services[0].HealthChecks[0].File = CheckExec, "check"
	_, err := s.Validate(Segment{DIPs: testSegment.DIPs})
	wantMistakes(t, err, "services[web].health_check.type: exec checks are off: set health.exec_dir in turnout.yaml")
}

func TestStatusSet(t *testing.T) {
	for _, tt := range []struct {
		set     StatusSet
		in, out []int
		wrong   string
	}{
		{"", []int{200, 204, 299}, []int{199, 300, 0}, ""},
		{"200-299,301", []int{200, 299, 301}, []int{300, 302}, ""},
		{"404", []int{404}, []int{200, 403, 405}, ""},
		{"200-599", []int{200, 599}, []int{199, 600}, ""},
		{"199", nil, []int{199}, `"199"`},
		{"600", nil, []int{600}, `"600"`},
		{"299-200", nil, []int{200, 250, 299}, `"299-200"`},
		{"200,", []int{200}, []int{0}, `""`},
		{"200, 301", []int{200}, []int{301}, `" 301"`},
		{"2xx", nil, []int{200}, `"2xx"`},
		{"200-204-206", nil, []int{200, 206}, `"200-204-206"`},
	} {
		for _, code := range tt.in {
			if !tt.set.Contains(code) {
				t.Errorf("%q lacks %d", tt.set, code)
			}
		}
		for _, code := range tt.out {
			if tt.set.Contains(code) {
				t.Errorf("%q holds %d", tt.set, code)
			}
		}
		if err := tt.set.validate(); (err != nil) != (tt.wrong != "") || err != nil && !strings.HasPrefix(err.Error(), tt.wrong+": ") {
			t.Errorf("%q: %v", tt.set, err)
		}
	}
}

func TestValidateCounts(t *testing.T) {
	s := State{}
	for i := range maxServices + 1 {
		svc := webService()
		svc.Name, svc.Port, svc.VIP = fmt.Sprint("s", i), uint16(i), ip(100+i>>16)
		s.Services = append(s.Services, svc)
	}
	_, err := s.Validate(testSegment)
	wantMistakes(t, err, "services: 65536 services: at most 65535 are possible")
}

func TestValidateNotes(t *testing.T) {
	s := validState()
	s.Services[0].VIP = netip.MustParseAddr("203.0.113.1")
	s.Services[0].Maglev.TableSize = 251
	for i := range 2 {
		s.Services[0].RealServers = append(s.Services[0].RealServers, RealServer{Address: ip(122 + i)})
	}
	s.Services[0].HealthChecks = HealthChecks{{Type: CheckNone}}
	notes, err := s.Validate(testSegment)
	want := []string{
		"services[web].vip: 203.0.113.1 is in no port's subnet: the router must have a route for it to the DIP",
		"services[web].maglev.table_size: 251 is less than 100 times the 3 real servers: their shares of flows will be off by more than 1 %",
		"services[web].health_check: none: a dead real server keeps getting flows",
	}
	if err != nil || !reflect.DeepEqual(notes, want) {
		t.Errorf("notes %q, %v\nwant %q", notes, err, want)
	}
	s = validState()
	s.Services[0].HealthChecks[0].Type = CheckUDP
	notes, err = s.Validate(testSegment)
	want = []string{"services[web].health_check: udp without reply: a real server that is switched off passes as well; add a check of type icmp, or set reply"}
	if err != nil || !reflect.DeepEqual(notes, want) {
		t.Errorf("notes %q, %v\nwant %q", notes, err, want)
	}
	s.Services[0].HealthChecks = append(s.Services[0].HealthChecks, newCheck(CheckICMP, s.Services[0]))
	if notes, err := s.Validate(testSegment); err != nil || len(notes) != 0 {
		t.Errorf("udp and icmp: notes %q, %v", notes, err)
	}
	if notes, err := validState().Validate(testSegment); err != nil || len(notes) != 0 {
		t.Errorf("a plain service: notes %q, %v", notes, err)
	}
}

// Where no DIP is known, nothing is outside; on a /31 both addresses are hosts'.
func TestValidateSegments(t *testing.T) {
	far := validState()
	far.Services[0].RealServers[0].Address = netip.MustParseAddr("198.51.100.1")
	for _, seg := range []Segment{{}, {DIPs: []netip.Prefix{{}}}} {
		if notes, err := far.Validate(seg); err != nil || len(notes) != 0 {
			t.Errorf("%v: notes %q, %v", seg, notes, err)
		}
	}
	near := validState()
	near.Services[0].VIP = netip.MustParseAddr("203.0.113.1")
	near.Services[0].RealServers[0].Address = netip.MustParseAddr("198.51.100.1")
	if _, err := near.Validate(Segment{DIPs: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/31")}}); err != nil {
		t.Error(err)
	}
}

// Check names what cannot be read and what does not fit together in one list, by line, and each thing once.
func TestCheck(t *testing.T) {
	const text = `services:
  - name: web
    vip: 192.168.57.120
    protocol: tcp
    port: 80
    maglev: {table_size: 65536}
    real_servers:
      - address: 192.168.57.121
        weight: many
      - address: 192.168.57.100.1
      - address: 10.0.0.1
      - address: 192.168.57.121
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    timeouts:
      udp: 25h
  - name: mail
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    health_check:
      - type: tcp
      - type: tcp
        timeout: 3s
`
	state, _, err := Check([]byte(text), "services.yaml", testSegment)
	wantMistakes(t, err,
		`services.yaml:3: services[web].vip: 192.168.57.120 is the director's own address (DIP): a VIP must be another one, that no host has`,
		`services.yaml:6: services[web].maglev.table_size: `+sched.ValidTableSize(65536).Error(),
		`services.yaml:9: services[web].real_servers[192.168.57.121].weight: is text: write a whole number`,
		`services.yaml:10: services[web].real_servers[1].address: "192.168.57.100.1" is not an IPv4 address, such as 192.168.57.100`,
		`services.yaml:11: services[web].real_servers[10.0.0.1].address: 10.0.0.1 is in no port's subnet: direct routing needs the real server on the director's own segment`,
		`services.yaml:12: services[web].real_servers[192.168.57.121]: is listed twice (line 8): keep one`,
		`services.yaml:13: services[web].name: another service has this name (line 2): choose a new one`,
		`services.yaml:18: services[web].timeouts.udp: 25h is out of range: 1s to 24h`,
		`services.yaml:19: services[mail]: tcp port 80 on 192.168.57.100 is that of services[web] (line 13) already: change vip, protocol or port`,
		`services.yaml:26: services[mail].health_check[1].timeout: 3s is out of range: 10ms to 2s`)
	if len(state.Services) != 3 {
		t.Errorf("%d services", len(state.Services))
	}
}

func TestMerge(t *testing.T) {
	var first, later Mistakes
	first.Add("a.b", "unreadable")
	first.Add("c[x]", "unreadable")
	first.In("file")
	for _, key := range []string{"a.b", "a.b.c", "a.b[1]", "a.bc", "a", "c[x].d", "c[y]"} {
		later.Add(key, "wrong")
	}
	first.Merge(&later)
	first.Merge(nil)
	first.Merge(errors.New("no list"))
	want := "file: a.b: unreadable\nfile: c[x]: unreadable\na.bc: wrong\na: wrong\nc[y]: wrong"
	if first.Error() != want {
		t.Errorf("got %s\nwant %s", first.Error(), want)
	}
}

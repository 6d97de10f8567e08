package importer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLdirectordChecks reads a service of port 80 with its virtual line in line 2, below a global directive.
func TestLdirectordChecks(t *testing.T) {
	const standIn = " is not available in this version: a tcp check of the port is in its place"
	for _, c := range []struct {
		name            string
		global, service string
		want            string // health_check and remarks
	}{
		{
			"defaults of negotiate", "", "",
			"{type: http, interval: 10s, timeout: 10s, rise: 1, fall: 1}\n2: check timeout 30s is out of range (10ms to the interval): 10s is in its place",
		},
		{"defaults of connect", "", "checktype=connect", "{type: tcp, interval: 10s, timeout: 5s, rise: 1, fall: 1}"},
		{"checktimeout stands for negotiatetimeout", "checktimeout=4", "", "{type: http, interval: 10s, timeout: 4s, rise: 1, fall: 1}"},
		{"and the other way round", "negotiatetimeout=4", "checktype=connect", "{type: tcp, interval: 10s, timeout: 4s, rise: 1, fall: 1}"},
		{"the service's own come first", "negotiatetimeout=4", "checktimeout=6", "{type: http, interval: 10s, timeout: 6s, rise: 1, fall: 1}"},
		{"checkinterval of a service without fork", "checktimeout=4", "checkinterval=20", "{type: http, interval: 10s, timeout: 4s, rise: 1, fall: 1}"},
		{
			"checkinterval of a service with fork", "fork=yes", "checkinterval=40",
			"{type: http, interval: 40s, timeout: 30s, rise: 1, fall: 1}\n1: fork is of ldirectord itself",
		},
		{"failurecount", "failurecount=4", "checktype=connect\n\tfailurecount=2", "{type: tcp, interval: 10s, timeout: 5s, rise: 1, fall: 2}"},
		{"service=none", "", "service=none", "{type: none}"},
		{"checktype=on", "", "checktype=on", "{type: none}"},
		{"a service of another kind", "checktimeout=4", "service=smtp", "{type: tcp, interval: 10s, timeout: 4s, rise: 1, fall: 1}\n2: a check of service smtp" + standIn},
		{"https", "checktimeout=4", "service=https", "{type: https, interval: 10s, timeout: 4s, rise: 1, fall: 1}"},
		{"receive", "checktimeout=4", `receive="a \d+"`, `{type: http, interval: 10s, timeout: 4s, rise: 1, fall: 1, body_regex: "a \\d+"}`},
		{"a whole URL", "checktimeout=4", `request="http://a/b"`, "{type: tcp, interval: 10s, timeout: 4s, rise: 1, fall: 1}\n4: a request for a whole URL" + standIn},
		{
			"ping", "", "checktype=ping\n\tcheckcount=3",
			"{type: icmp, interval: 10s, timeout: 5s, rise: 1, fall: 1}\n5: checkcount is not available: failurecount says how many failures in a row count",
		},
		{"a script", "", "checktype=external", "{type: tcp, interval: 10s, timeout: 5s, rise: 1, fall: 1}\n4: checktype=external" + standIn},
		{"dns", "checktimeout=4", "service=dns\n\trequest=\"example.com\"", "{type: dns, interval: 10s, timeout: 4s, rise: 1, fall: 1, query: example.com}"},
		{"dns of an address", "checktimeout=4", "service=dns\n\trequest=\"192.0.2.1\"", "{type: tcp, interval: 10s, timeout: 4s, rise: 1, fall: 1}\n2: a check of service dns" + standIn},
		{
			"a regular expression that RE2 does not know", "checktimeout=4", `receive="(?=a)"`,
			"{type: http, interval: 10s, timeout: 4s, rise: 1, fall: 1}\n" +
				"4: receive not carried over: error parsing regexp: invalid or unsupported Perl syntax: `(?=`: write an expression as RE2 knows them",
		},
		{
			"numbers that are none", "checkinterval=soon", "checktype=connect",
			"{type: tcp, interval: 10s, timeout: 5s, rise: 1, fall: 1}\n1: soon is not a number of 0 to 65535: it is passed over",
		},
		{
			"a port that is none", "", "checktype=connect\n\tcheckport=http", "{type: none}\n" +
				"4: the check has no port to connect to: none is in its place; add one with a port to health_check\n" +
				"5: checkport: http is not a port: write a number of 0 to 65535 in place of a name",
		},
	} {
		file := fmt.Sprintf("%s\nvirtual=192.168.57.100:80\n\treal=192.168.57.121:80 gate\n\t%s\n\tscheduler=rr\n", c.global, c.service)
		if c.service == "" {
			file = strings.Replace(file, "\n\t\n", "\n", 1)
		}
		check, remarks, _ := strings.Cut(c.want, "\n")
		want := fmt.Sprintf("services:\n  # line 2: virtual=192.168.57.100:80%s    scheduler: rr\n    health_check: %s\n    real_servers:\n"+
			"      - {address: 192.168.57.121, weight: 1}\n%s", web, check, lines(remarks))
		if diff := cmp.Diff(want, report(t, "ldirectord", file)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestLdirectordGrammar(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "# a comment\n\n", "services: []\n"},
		{
			"spaces, comments and blank lines", "virtual = 192.168.57.100:80 # the site\n#\treal=192.168.57.120:80 gate\n\n    real = 192.168.57.121:80  gate  7 # one\n    checktype = on\n    scheduler = rr\n",
			"services:\n  # line 1: virtual=192.168.57.100:80" + web + "    scheduler: rr\n    health_check: {type: none}\n    real_servers:\n      - {address: 192.168.57.121, weight: 7}\n",
		},
		{
			"two colons, as in the sample for SIP", "virtual=192.168.57.100:80\n\treal=192.168.57.121::80 gate\n\tchecktype=on\n\tscheduler=rr\n",
			"services:\n  # line 1: virtual=192.168.57.100:80" + web + "    scheduler: rr\n    health_check: {type: none}\n    real_servers:\n      - {address: 192.168.57.121, weight: 1}\n",
		},
		{
			"lines that cannot be read", "\treal=192.168.57.121:80 gate\nteapot\nteapot=1\nvirtual=192.168.57.100:80\n\treal=192.168.57.121:80\n\treal=192.168.57.121:80 nat\n" +
				"\treal=192.168.57.125->192.168.57.121:80 gate\n\treal=sql01->sql03:80 gate\n\treal=10.0.0.0->10.255.255.255:80 gate\n",
			`services: []
1: indented, but no virtual line is before it: left out
2: not of the form key = value: left out
3: teapot is not known here: not carried over
4: service left out: none of its real servers can be carried over
5: real server 192.168.57.121:80 left out: not of the form ADDRESS[->ADDRESS]:PORT gate|masq|ipip [WEIGHT]
6: real server 192.168.57.121 left out: forwarding method nat is not known: if direct routing is meant, write gate and import again
7: real server 192.168.57.125 left out: 192.168.57.125 is after 192.168.57.121: write the lower address first and import again
8: real server sql01 left out: sql01 is not an IPv4 address: write the address in place of a name
9: real server 10.0.0.0 left out: more than 1024 addresses from 10.0.0.0 to 10.255.255.255: write smaller ranges and import again
`,
		},
		{
			"a service whose only real servers cannot be read", "virtual=192.168.57.100:80\n\treal=sql01->sql03:80 gate\n",
			"services: []\n1: service left out: none of its real servers can be carried over\n" +
				"2: real server sql01 left out: sql01 is not an IPv4 address: write the address in place of a name\n",
		},
	} {
		if diff := cmp.Diff(c.want, report(t, "ldirectord", c.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

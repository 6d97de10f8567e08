package importer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestKeepalivedGrammar reads the same service, written in many ways.
func TestKeepalivedGrammar(t *testing.T) {
	const want = web + "    scheduler: rr\n    health_check: {type: none}\n    real_servers:\n      - {address: 192.168.57.121, weight: 2}\n"
	for _, c := range []struct{ name, in, remarks string }{
		{"plain", "virtual_server 192.168.57.100 80 {\nlb_algo rr\nlb_kind DR\nreal_server 192.168.57.121 80 {\nweight 2\n}\n}\n", ""},
		{"newer words", "virtual_server 192.168.57.100 80 {\nlvs_sched rr\nlvs_method DR\nreal_server 192.168.57.121 80 {\nweight 2\n}\n}\n", ""},
		{"braces on lines of their own", "virtual_server 192.168.57.100 80\n{\nlb_algo rr\nlb_kind DR\nreal_server 192.168.57.121 80\n\n{\nweight 2\n}\n}\n", ""},
		{"one line", "virtual_server 192.168.57.100 80 { lb_algo rr\nlb_kind DR\nreal_server 192.168.57.121 80 { weight 2 } }\n", ""},
		{"sticking brace", "virtual_server 192.168.57.100 80{\nlb_algo rr\nlb_kind DR\nreal_server 192.168.57.121 80{\nweight 2\n}\n}\n", ""},
		{"comments", "virtual_server 192.168.57.100 80 { ! { one\nlb_algo rr#}\n# lb_algo lc {\nlb_kind DR\nreal_server 192.168.57.121 80 {\nweight 2\n}\n}\n", ""},
		{"quotes", "virtual_server '192.168.57.100' \"80\" {\nlb_algo \"rr\"\nlb_kind D\"\"R\nreal_server 192.168.57.121 80 {\nweight \\2\n}\n}\n", ""},
		{"lines that go on", "virtual_server \\\n192.168.57.100 80 {\nlb_algo \\\nrr\nlb_kind DR\nreal_server 192.168.57.121 80 {\nweight 2\n}\n}\n", ""},
		{"carriage returns", "virtual_server 192.168.57.100 80 {\r\nlb_algo rr\r\nlb_kind DR\r\nreal_server 192.168.57.121 80 {\r\nweight 2\r\n}\r\n}\r\n", ""},
		{"the last one counts", "virtual_server 192.168.57.100 80 {\nlb_algo lc\nlb_algo rr\nlb_kind DR\nreal_server 192.168.57.121 80 {\nweight 1\nweight 2\n}\n}\n", ""},
		{"method of the real server", "virtual_server 192.168.57.100 80 {\nlb_algo rr\nlb_kind NAT\nreal_server 192.168.57.121 80 {\nlvs_method DR\nweight 2\n}\n}\n", ""},
		{
			"a brace too many", "virtual_server 192.168.57.100 80 {\nlb_algo rr\nlb_kind DR\nreal_server 192.168.57.121 80 {\nweight 2\n}\n}\n}\n",
			"8: a closing brace without an opening one\n",
		},
		{
			"braces too few", "virtual_server 192.168.57.100 80 {\nlb_algo rr\nlb_kind DR\nreal_server 192.168.57.121 80 {\nweight 2\n",
			"1: virtual_server: its closing brace is missing\n4: real_server: its closing brace is missing\n",
		},
		{
			"unknown words", "virtual_server 192.168.57.100 80 {\nlb_algo rr\nlb_kind DR\nteapot on\n$W=2\nreal_server 192.168.57.121 80 {\nweight 2\n\"t\x07\" 1\n}\n}\nteapots {\n}\n",
			"4: teapot is not known here: not carried over\n5: a definition ($W=2) is not read: write its value where it is used and import again\n" +
				"8: \"t\\a\" is not known here: not carried over\n11: teapots is not known here: not carried over\n",
		},
	} {
		got := report(t, "keepalived", c.in)
		if diff := cmp.Diff("services:\n  # line 1: virtual_server 192.168.57.100 80"+want+c.remarks, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestKeepalivedChecks puts options at the three places where they may stand.
func TestKeepalivedChecks(t *testing.T) {
	const standIn = " is not available in this version: a tcp check of the port is in its place"
	for _, c := range []struct {
		name                               string
		virtualServer, realServer, checker string
		want                               string // health_check and remarks; no health_check: turnout's default
	}{
		{"defaults of tcp", "", "", "TCP_CHECK {\n}", "{type: tcp, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up}"},
		{"defaults of http", "", "", "HTTP_GET {\n}", "{type: http, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up}"},
		{"defaults of ssl", "", "", "SSL_GET {\n}", "{type: https, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up}"},
		{"defaults of smtp", "", "", "SMTP_CHECK {\n}", "{type: tcp, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up}\n5: SMTP_CHECK" + standIn},
		{"defaults of dns", "", "", "DNS_CHECK {\n}", `{type: dns, interval: 1m, timeout: 5s, rise: 1, fall: 4, initial: up, query: ".", query_type: SOA}`},
		{"defaults of ping", "", "", "PING_CHECK {\n}", "{type: icmp, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up}"},
		{"defaults of udp", "", "", "UDP_CHECK {\n}", "{type: udp, port: 80, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up}"},
		{"defaults of misc", "", "", "MISC_CHECK {\n}", "{type: tcp, interval: 1m, timeout: 5s, rise: 1, fall: 1, initial: up}\n5: MISC_CHECK runs a command, and checks of type exec only files in health.exec_dir: a tcp check of the port is in its place"},
		{"alpha", "alpha", "", "TCP_CHECK {\n}", "{type: tcp, interval: 1m, timeout: 5s, rise: 1, fall: 2}"},
		{"alpha off", "alpha", "alpha off", "TCP_CHECK {\n}", "{type: tcp, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up}"},
		{"dns", "alpha", "", "DNS_CHECK {\ntype mx\nname example.com\n}", "{type: dns, interval: 1m, timeout: 5s, rise: 1, fall: 4, query: example.com, query_type: MX}"},
		{
			"udp", "alpha", "", "UDP_CHECK {\nrequire_reply\nmin_reply_length 2\npayload 00ff\n}",
			"{type: udp, port: 80, interval: 1m, timeout: 5s, rise: 1, fall: 2, reply: true}\n" +
				"8: min_reply_length is not available in this version: a reply of any length passes\n" +
				"9: payload is not carried over: an empty packet is sent; write send or send_hex into health_check",
		},
		{
			"answers", "alpha", "", "HTTP_GET {\nurl {\nstatus_code 200 301-302\nregex \"^\\\\d+$\"\n}\n}",
			`{type: http, interval: 1m, timeout: 5s, rise: 1, fall: 2, status: "200,301-302", body_regex: "^\\d+$"}`,
		},
		{
			"answers that cannot be asked for", "alpha", "", "HTTP_GET {\nurl {\nstatus_code 100\nregex (?=a)\n}\nurl {\nregex a\nregex_no_match\n}\n}",
			"{type: http, interval: 1m, timeout: 5s, rise: 1, fall: 2}\n" +
				"8: status_code not carried over: \"100\": write codes of 200 to 599 and ranges of them, such as 200-299,301\n" +
				"9: regex not carried over: error parsing regexp: invalid or unsupported Perl syntax: `(?=`: write an expression as RE2 knows them\n" +
				"12: regex with regex_no_match or regex_options is not available in this version: the answer's body is not looked at",
		},
		{"no checker", "retry 4", "", "", "{type: none}"},
		{"inherited from the virtual server", "delay_loop 7\nretry 3\nconnect_timeout 2", "", "TCP_CHECK {\n}", "{type: tcp, interval: 7s, timeout: 2s, rise: 1, fall: 4, initial: up}"},
		{"the real server's come before", "delay_loop 7", "delay_loop 8", "TCP_CHECK {\n}", "{type: tcp, interval: 8s, timeout: 5s, rise: 1, fall: 2, initial: up}"},
		{"the checker's come first", "delay_loop 7", "delay_loop 8", "TCP_CHECK {\ndelay_loop 9.25\n}", "{type: tcp, interval: 9.25s, timeout: 5s, rise: 1, fall: 2, initial: up}"},
		{"virtualhost of the virtual server", "virtualhost a", "", "HTTP_GET {\nurl {\npath /x\n}\n}", "{type: http, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up, host: a, path: /x}"},
		{"virtualhost of the url", "virtualhost a", "virtualhost b", "HTTP_GET {\nurl {\nvirtualhost c\n}\n}", "{type: http, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up, host: c}"},
		{"another port", "", "", "TCP_CHECK {\nconnect_port 81\n}", "{type: tcp, port: 81, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up}"},
		{"the same twice", "", "", "TCP_CHECK {\n}\nTCP_CHECK {\n}", "{type: tcp, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up}"},
		{
			"bounds", "delay_loop 7200\nretry 200", "", "TCP_CHECK {\nconnect_timeout 0\n}",
			"{type: tcp, interval: 1h, timeout: 10ms, rise: 1, fall: 100, initial: up}\n" +
				"7: check interval 2h0m0s is out of range (100ms to 1h0m0s): 1h0m0s is in its place\n" +
				"7: check timeout 0s is out of range (10ms to the interval): 10ms is in its place\n" +
				"7: 201 failures in a row are out of range (1 to 100): 100 is in their place",
		},
		{
			"values that are none", "delay_loop soon\nretry -1", "", "TCP_CHECK {\nconnect_timeout NaN\nconnect_port http\n}",
			"{type: none}\n2: delay_loop: soon is not a number of seconds: 1m0s is in its place\n" +
				"3: retry: -1 is no number of failures: 1 is in its place\n" +
				"7: connect_port: http is not a port: write a number of 0 to 65535 in place of a name\n" +
				"7: the check has no port to connect to: none is in its place; add one with a port to health_check\n" +
				"8: connect_timeout: NaN is not a number of seconds: 5s is in its place",
		},
		{
			"options without a place", "", "", "HTTP_GET {\nconnect_ip 10.0.0.1\nfwmark 1\nurl {\ndigest 00\n}\nteapot\n}",
			"{type: http, interval: 1m, timeout: 5s, rise: 1, fall: 2, initial: up}\n" +
				"6: connect_ip is not available in this version: the check goes to the real server's own address\n" +
				"7: fwmark is not available: checks carry no mark\n" +
				"9: digest is not available: body or body_regex in health_check can look at the answer's body\n" +
				"11: teapot is not known here: not carried over",
		},
	} {
		file := "virtual_server 192.168.57.100 80 {\n" + lines(c.virtualServer) + "lvs_sched rr\nlvs_method DR\nreal_server 192.168.57.121 80 {\n" +
			lines(c.realServer) + lines(c.checker) + "}\n}\n"
		check, remarks, _ := strings.Cut(c.want, "\n")
		want := fmt.Sprintf("services:\n  # line 1: virtual_server 192.168.57.100 80%s    scheduler: rr\n    health_check: %s\n    real_servers:\n"+
			"      - {address: 192.168.57.121, weight: 1}\n%s", web, check, lines(remarks))
		if diff := cmp.Diff(want, report(t, "keepalived", file)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// lines ends text that is not empty with a line end.
func lines(text string) string {
	if text == "" {
		return ""
	}
	return text + "\n"
}

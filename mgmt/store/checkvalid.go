package store

import (
	"encoding/hex"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/miekg/dns"
)

// Bounds of what a check may ask for.
const (
	minCheckInterval = Duration(100 * time.Millisecond)
	maxCheckInterval = Duration(time.Hour)
	minCheckTimeout  = Duration(10 * time.Millisecond)
	maxCheckCount    = 100 // rise and fall
	maxExpectation   = 1024
	maxPayload       = 1472 // bytes: a UDP packet that fits an Ethernet frame
)

var (
	execFilePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)
	hostNamePattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$`)
)

func (v *validator) healthChecks(svc Service, at *place) {
	if len(svc.HealthChecks) == 0 {
		v.wrong(at, "is empty: write {type: none} if real servers are not to be checked")
	}
	proves := func(c HealthCheck) bool { return c.Type != CheckUDP || c.Reply }
	if len(svc.HealthChecks) > 0 && !slices.ContainsFunc(svc.HealthChecks, proves) {
		v.note(at, "udp without reply: a real server that is switched off passes as well; add a check of type icmp, or set reply")
	}
	for i, check := range svc.HealthChecks {
		place := at
		if len(svc.HealthChecks) > 1 {
			place = at.item(i, "")
		}
		v.healthCheck(check, place, svc)
	}
}

func (v *validator) healthCheck(c HealthCheck, at *place, svc Service) {
	if sentence := checkTypes.refusal(string(c.Type)); sentence != "" {
		v.wrong(at.in("type"), "%s", sentence)
		return
	}
	if c.Type == CheckNone {
		v.noCheck(at, svc)
		return
	}
	v.checkPort(c, at.in("port"))
	v.duration(c.Interval, at.in("interval"), minCheckInterval, maxCheckInterval)
	v.duration(c.Timeout, at.in("timeout"), minCheckTimeout, max(c.Interval, minCheckTimeout))
	v.count(c.Rise, at.in("rise"))
	v.count(c.Fall, at.in("fall"))
	if sentence := initials.refusal(string(c.Initial)); sentence != "" {
		v.wrong(at.in("initial"), "%s", sentence)
	}
	v.via(c, at.in("via"), svc)
	switch c.Type {
	case CheckHTTP, CheckHTTPS:
		v.request(c, at)
		v.expectation(c, at)
	case CheckUDP:
		v.payload(c, at)
	case CheckDNS:
		v.query(c, at)
	case CheckExec:
		v.execFile(c.File, at)
	}
}

// via judges whether there is a way that could be probed.
func (v *validator) via(c HealthCheck, at *place, svc Service) {
	if c.Via == "" {
		return
	}
	if sentence := vias.refusal(string(c.Via)); sentence != "" {
		v.wrong(at, "%s", sentence)
		return
	}
	if c.Via == ViaDR && svc.pathPort(c) == 0 {
		v.wrong(at, "dr: there is nothing to ask the VIP: it takes a port, and for a udp service a check of type dns, or udp with reply and something to send; delete it")
	}
}

func (v *validator) noCheck(at *place, svc Service) {
	if len(svc.HealthChecks) > 1 {
		v.wrong(at.in("type"), "none stands alone: delete it, or the other checks")
		return
	}
	v.note(at, "none: a dead real server keeps getting flows")
}

// checkPort judges the L4 port; an exec check hands on whatever there is.
func (v *validator) checkPort(c HealthCheck, at *place) {
	if c.Port != 0 || c.Type == CheckICMP || c.Type == CheckExec {
		return
	}
	protocol := "TCP"
	if c.Type == CheckUDP || c.Type == CheckDNS {
		protocol = "UDP"
	}
	v.wrong(at, "is missing: this service has no %s port of its own that could be checked; give the check one, or type none", protocol)
}

func (v *validator) count(n int, at *place) {
	if n < 1 || n > maxCheckCount {
		v.wrong(at, "%d is out of range: %s", n, rangeText(1, maxCheckCount))
	}
}

// request judges what an http or https check puts into its request line and header, and into its TLS hello.
func (v *validator) request(c HealthCheck, at *place) {
	if !strings.HasPrefix(c.Path, "/") || !isGraphic(c.Path) {
		v.wrong(at.in("path"), "%q: write a path that begins with / and holds no spaces", c.Path)
	}
	if !isGraphic(c.Host) || strings.ContainsAny(c.Host, "/@") {
		v.wrong(at.in("host"), "%q: write a host name, with :port if the real servers ask for it", c.Host)
	}
	if _, err := netip.ParseAddr(c.SNI); c.SNI != "" && (err == nil || !hostNamePattern.MatchString(c.SNI)) {
		v.wrong(at.in("sni"), "%q: write a host name, no address (RFC 6066 section 3) and no port", c.SNI)
	}
}

// isGraphic says whether s is of visible ASCII characters only: no spaces, no line ends.
func isGraphic(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return false
		}
	}
	return true
}

// expectation judges what an http or https check wants of the answer.
func (v *validator) expectation(c HealthCheck, at *place) {
	if err := c.Status.validate(); err != nil {
		v.wrong(at.in("status"), "%v", err)
	}
	v.printable(c.Body, at.in("body"), maxExpectation, `use body_regex, with \n and the like, for others`)
	v.printable(c.BodyRegex, at.in("body_regex"), maxExpectation, `write \n and the like for others`)
	if _, err := regexp.Compile(c.BodyRegex); err != nil {
		v.wrong(at.in("body_regex"), "%v: write an expression as RE2 knows them", err)
	}
}

// printable judges text that stands in services.yaml; instead says how to ask for characters that do not print.
func (v *validator) printable(text string, at *place, most int, instead string) {
	if len(text) > most {
		v.wrong(at, "%d bytes: at most %d are possible", len(text), most)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		v.wrong(at, "%q: write characters that print; %s", text, instead)
	}
}

func (v *validator) payload(c HealthCheck, at *place) {
	if c.Send != "" && c.SendHex != "" {
		v.wrong(at.in("send_hex"), "send is given as well: keep one")
	}
	v.printable(c.Send, at.in("send"), maxPayload, "use send_hex for others")
	if payload, err := hex.DecodeString(c.SendHex); err != nil || len(payload) > maxPayload {
		v.wrong(at.in("send_hex"), "%.80q: write two hexadecimal digits for each byte, such as 1b00ff, of at most %d bytes", c.SendHex, maxPayload)
	}
}

func (v *validator) query(c HealthCheck, at *place) {
	if _, ok := dns.IsDomainName(c.Query); !ok || !isGraphic(c.Query) {
		v.wrong(at.in("query"), "%q: write the name to ask for, such as www.example.org", c.Query)
	}
	if sentence := queryTypes.refusal(c.QueryType); sentence != "" {
		v.wrong(at.in("query_type"), "%s", sentence)
	}
	if sentence := rcodes.refusal(c.Rcode); sentence != "" {
		v.wrong(at.in("rcode"), "%s", sentence)
	}
}

func (v *validator) execFile(name string, at *place) {
	if !v.seg.Exec {
		v.wrong(at.in("type"), "exec checks are off: set health.exec_dir in turnout.yaml")
	}
	if !execFilePattern.MatchString(name) {
		v.wrong(at.in("file"), "%q: write the name of a file in health.exec_dir, neither a path nor a command", name)
	}
}

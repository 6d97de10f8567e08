package importer

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"turnout/mgmt/store"
)

// serviceOfPort is what ldirectord takes for the service when none is given: for other ports it is none.
var serviceOfPort = map[string]string{
	"21": "ftp", "25": "smtp", "53": "dns", "80": "http", "110": "pop", "119": "nntp", "143": "imap", "389": "ldap",
	"443": "https", "587": "submission", "636": "ldaps", "993": "imaps", "995": "pops", "1521": "oracle", "1812": "radius",
	"3128": "http_proxy", "3306": "mysql", "5432": "pgsql", "5060": "sip",
}

var number = regexp.MustCompile(`^[0-9]+$`)

// healthCheckOf translates the check of a service.
func (l *ldirectord) healthCheckOf(s section, v virtualService) store.HealthChecks {
	kind := s.option("checktype")
	if kind.line == 0 {
		kind = option{v.line, "negotiate"}
	}
	if number.MatchString(kind.text) {
		l.remark(kind.line, "checktype=%s (connect, and negotiate at times) is not available: every check is a negotiate check", kind.text)
		kind.text = "negotiate"
	}
	port := l.checkPortOf(s, v)
	switch {
	case kind.text == "on":
		return noCheck
	case kind.text == "negotiate":
		return l.negotiate(s, v, port, l.timingOf(s, kind.line, true))
	case kind.text == "connect" && v.protocol == "tcp":
		return together([]store.HealthCheck{l.check(store.CheckTCP, port, l.timingOf(s, kind.line, false))})
	case kind.text == "connect" || kind.text == "ping": // to ldirectord, a udp service's connect is a ping
		return together([]store.HealthCheck{l.check(store.CheckICMP, 0, l.timingOf(s, kind.line, false))})
	}
	why := "checktype=" + printable(kind.text) + " is not available in this version"
	return together([]store.HealthCheck{l.standIn(why, v.protocol, port, l.timingOf(s, kind.line, false))})
}

// negotiate translates a check that speaks the service's protocol.
func (l *ldirectord) negotiate(s section, v virtualService, port uint16, t timing) store.HealthChecks {
	service := s.option("service").text
	if service == "" {
		service = serviceOfPort[v.port]
	}
	request := s.option("request")
	switch {
	case service == "" || service == "none":
		return noCheck
	case service == "dns" && request.text != "" && !isAddress(request.text):
		return together([]store.HealthCheck{l.lookUp(s, port, t)})
	case isWeb(service) && !strings.Contains(request.text, "://"):
		return together([]store.HealthCheck{l.request(store.CheckType(service), s, port, t)})
	case isWeb(service):
		t.line = request.line
		return together([]store.HealthCheck{l.standIn("a request for a whole URL is not available in this version", v.protocol, port, t)})
	}
	return together([]store.HealthCheck{l.standIn("a check of service "+printable(service)+" is not available in this version", v.protocol, port, t)})
}

// isWeb says whether the service's name is that of turnout's check as well.
func isWeb(service string) bool { return service == "http" || service == "https" }

// isAddress tells what ldirectord would look up the name of.
func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// lookUp asks for the addresses of a name.
func (l *ldirectord) lookUp(s section, port uint16, t timing) store.HealthCheck {
	check := l.check(store.CheckDNS, port, t)
	if check.Type != store.CheckDNS {
		return check
	}
	check.Query, check.QueryType = s.option("request").text, "A"
	if receive := s.option("receive"); receive.line > 0 {
		l.remark(receive.line, "receive is not available in this version for dns: an answer of NOERROR passes")
	}
	return check
}

func (l *ldirectord) request(kind store.CheckType, s section, port uint16, t timing) store.HealthCheck {
	check := l.check(kind, port, t)
	if check.Type != kind {
		return check
	}
	check.Path, check.Host = "/"+strings.TrimPrefix(s.option("request").text, "/"), s.option("virtualhost").text
	if receive := s.option("receive"); receive.line > 0 {
		check = l.expect(check, receive.line, "receive", func(h *store.HealthCheck) { h.BodyRegex = receive.text })
	}
	if method := s.option("httpmethod"); strings.EqualFold(method.text, "HEAD") {
		l.remark(method.line, "httpmethod=HEAD is not available in this version: the check is a GET")
	}
	return check
}

// checkPortOf is the service's port unless the file says another: with direct routing ldirectord gives its real
// servers no other.
func (l *ldirectord) checkPortOf(s section, v virtualService) uint16 {
	checkport := s.option("checkport")
	if checkport.line == 0 {
		checkport.text = v.port
	}
	port, err := parsePort(checkport.text)
	if err != nil {
		l.remark(checkport.line, "checkport: %v", err)
	}
	return port
}

// timingOf follows ldirectord: either time-out stands for the other where that is not given, a service's before the
// global one; checkinterval of a service counts only with fork=yes.
func (l *ldirectord) timingOf(s section, line int, negotiate bool) timing {
	first, second, usual := "checktimeout", "negotiatetimeout", 5
	if negotiate {
		first, second, usual = second, first, 30
	}
	own := s.option("checkinterval")
	if l.global.option("fork").text != "yes" {
		own = option{}
	}
	timeout := l.number(usual, s.option(first), s.option(second), l.global.option(first), l.global.option(second))
	interval := l.number(10, own, l.global.option("checkinterval"))
	return timing{
		line:     line,
		interval: time.Duration(interval) * time.Second,
		timeout:  time.Duration(timeout) * time.Second,
		fall:     l.number(1, s.option("failurecount"), l.global.option("failurecount")),
	}
}

// number returns the first value that is given, or usual.
func (l *ldirectord) number(usual int, options ...option) int {
	for _, o := range options {
		if o.line == 0 {
			continue
		}
		n, err := strconv.ParseUint(o.text, 10, 16)
		if err == nil {
			return int(n)
		}
		l.remark(o.line, "%s is not a number of 0 to 65535: it is passed over", printable(o.text))
	}
	return usual
}

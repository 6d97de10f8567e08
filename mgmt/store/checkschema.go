package store

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

var (
	checkTypes = words{known: []string{
		string(CheckNone), string(CheckTCP), string(CheckHTTP), string(CheckHTTPS), string(CheckICMP), string(CheckUDP),
		string(CheckDNS), string(CheckExec),
	}}
	initials   = words{known: []string{string(InitialDown), string(InitialUp)}}
	vias       = words{known: []string{string(ViaRIP), string(ViaDR)}}
	queryTypes = words{known: []string{"A", "AAAA", "CAA", "CNAME", "DNSKEY", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "TXT"}}
	rcodes     = words{known: []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}}
)

var plannedCheckKeys = []string{"method", "headers", "expect", "address"}

// webTypes are the types of check that ask for a page.
var webTypes = []CheckType{CheckHTTP, CheckHTTPS}

// checkKeyTypes are the keys that only some types of check have. The others belong to every type but none.
var checkKeyTypes = map[string][]CheckType{
	"port":       {CheckTCP, CheckHTTP, CheckHTTPS, CheckUDP, CheckDNS, CheckExec},
	"host":       webTypes,
	"path":       webTypes,
	"status":     webTypes,
	"body":       webTypes,
	"body_regex": webTypes,
	"sni":        {CheckHTTPS},
	"tls_verify": {CheckHTTPS},
	"send":       {CheckUDP},
	"send_hex":   {CheckUDP},
	"reply":      {CheckUDP},
	"query":      {CheckDNS},
	"query_type": {CheckDNS},
	"rcode":      {CheckDNS},
	"file":       {CheckExec},
}

// newCheck is a check of a type of which only defaults are known.
func newCheck(t CheckType, svc Service) HealthCheck {
	check := HealthCheck{Type: t}
	if t == CheckNone {
		return check
	}
	check.Interval, check.Timeout = Duration(2*time.Second), Duration(time.Second)
	check.Rise, check.Fall = 2, 3
	check.Initial = InitialDown
	check.Port = checkPort(t, svc)
	switch t {
	case CheckHTTP, CheckHTTPS:
		check.Path, check.Status = "/", usualStatus
	case CheckDNS:
		check.QueryType, check.Rcode = "A", "NOERROR"
	}
	return check
}

// checkPort is the L4 port that a check of type t takes from its service; 0 if it takes none.
func checkPort(t CheckType, svc Service) uint16 {
	switch t {
	case CheckTCP, CheckHTTP, CheckHTTPS:
		if svc.Protocol != TCP {
			return 0
		}
	case CheckUDP:
		if svc.Protocol != UDP {
			return 0
		}
	case CheckICMP:
		return 0
	}
	return svc.Port
}

// defaultChecks is what a service without health_check gets: a tcp check of its port. A udp service, and one for
// every port, have no port that a connection could prove anything of: they get none, and a note says so.
func defaultChecks(svc Service) HealthChecks {
	if svc.Protocol == TCP && svc.Port != 0 {
		return HealthChecks{newCheck(CheckTCP, svc)}
	}
	return HealthChecks{newCheck(CheckNone, svc)}
}

// healthChecks reads one check or a list of them; without either, the service's default.
func (d *decoder) healthChecks(n ast.Node, at *place, svc Service) HealthChecks {
	switch {
	case n == nil:
		return defaultChecks(svc)
	case isMapping(n):
		return HealthChecks{d.healthCheck(n, at, svc)}
	case len(items(n)) == 0:
		d.wrong(n, at, "is %s: write {type: none} if real servers are not to be checked", emptyOr(n))
		return nil
	}
	var checks HealthChecks
	d.list(n, at, func(i int, item ast.Node) {
		checks = append(checks, d.healthCheck(item, at.item(i, ""), svc))
	})
	return checks
}

func emptyOr(n ast.Node) string {
	if _, list := n.(*ast.SequenceNode); list {
		return "empty"
	}
	return kind(n)
}

func (d *decoder) healthCheck(n ast.Node, at *place, svc Service) HealthCheck {
	t := CheckTCP
	if given := entry(n, "type"); given != nil {
		word(&t, checkTypes)(d, given, at.in("type"))
	}
	check := newCheck(t, svc)
	known := fields{
		"type":       pass,
		"port":       integer(&check.Port, 1, math.MaxUint16),
		"interval":   duration(&check.Interval),
		"timeout":    duration(&check.Timeout),
		"rise":       integer(&check.Rise, 0, math.MaxInt),
		"fall":       integer(&check.Fall, 0, math.MaxInt),
		"initial":    word(&check.Initial, initials),
		"via":        word(&check.Via, vias),
		"host":       text(&check.Host),
		"path":       text(&check.Path),
		"status":     statusSet(&check.Status),
		"body":       text(&check.Body),
		"body_regex": text(&check.BodyRegex),
		"sni":        text(&check.SNI),
		"tls_verify": boolean(&check.TLSVerify),
		"send":       text(&check.Send),
		"send_hex":   text(&check.SendHex),
		"reply":      boolean(&check.Reply),
		"query":      text(&check.Query),
		"query_type": word(&check.QueryType, queryTypes),
		"rcode":      word(&check.Rcode, rcodes),
		"file":       text(&check.File),
	}
	d.mapping(n, at, schema{fields: known.onlyFor(t), planned: plannedCheckKeys})
	return check
}

// onlyFor refuses the keys that a check of this type does not have.
func (f fields) onlyFor(t CheckType) fields {
	for key := range f {
		types, special := checkKeyTypes[key]
		switch {
		case t == CheckNone && key != "type":
			f[key] = refuse("a check of type none has no other key: delete it, or choose another type")
		case special && !slices.Contains(types, t):
			f[key] = refuse("a check of type %s has no such key: delete it, or choose type %s", t, typeList(types))
		}
	}
	return f
}

func typeList(types []CheckType) string {
	var names []string
	for _, t := range types {
		names = append(names, string(t))
	}
	return strings.Join(names, " or ")
}

// statusSet reads a list of status codes; a single one is a number to YAML.
func statusSet(to *StatusSet) field {
	return func(d *decoder, n ast.Node, at *place) {
		if _, ok := n.(*ast.IntegerNode); ok {
			*to = StatusSet(n.GetToken().Value)
			return
		}
		var s string
		text(&s)(d, n, at)
		*to = StatusSet(s)
	}
}

func checkWants(old, now HealthCheck, svc Service) []want {
	usual := newCheck(now.Type, svc)
	return []want{
		value("type", old.Type, now.Type, old.Type),
		value("port", old.Port, now.Port, usual.Port),
		value("interval", old.Interval, now.Interval, usual.Interval),
		value("timeout", old.Timeout, now.Timeout, usual.Timeout),
		value("rise", old.Rise, now.Rise, usual.Rise),
		value("fall", old.Fall, now.Fall, usual.Fall),
		value("initial", old.Initial, now.Initial, usual.Initial),
		optional("via", old.Via, now.Via),
		optional("host", old.Host, now.Host),
		value("path", old.Path, now.Path, usual.Path),
		value("status", old.Status, now.Status, usual.Status),
		optional("body", old.Body, now.Body),
		optional("body_regex", old.BodyRegex, now.BodyRegex),
		optional("sni", old.SNI, now.SNI),
		value("tls_verify", old.TLSVerify, now.TLSVerify, usual.TLSVerify),
		optional("send", old.Send, now.Send),
		optional("send_hex", old.SendHex, now.SendHex),
		value("reply", old.Reply, now.Reply, usual.Reply),
		optional("query", old.Query, now.Query),
		value("query_type", old.QueryType, now.QueryType, usual.QueryType),
		value("rcode", old.Rcode, now.Rcode, usual.Rcode),
		optional("file", old.File, now.File),
	}
}

package importer

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"turnout/mgmt/store"
)

// directive is a line "key = value" of an ldirectord.cf.
type directive struct {
	line       int
	key, value string
}

// section is what ldirectord.cf says of all services, or of one.
type section []directive

// option returns the value of a key, the last one given; line 0: there is none.
func (s section) option(key string) option {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].key == key {
			return option{s[i].line, unquote(s[i].value)}
		}
	}
	return option{}
}

// unquote takes the quotes off that ldirectord asks for around some values.
func unquote(s string) string { return strings.Trim(s, `"`) }

// ldirectordSilent are directives that need no word: they are read elsewhere, or turnout does the same unasked.
var ldirectordSilent = words("virtual real checktype service servicename comment checkport checkinterval checktimeout negotiatetimeout " +
	"failurecount request receive virtualhost scheduler schedflags persistent netmask protocol httpmethod fallback quiescent ops")

const (
	itself    = "is of ldirectord itself"
	ofMail    = "is not available: let an alert on turnout_real_server_up do it"
	ofLogin   = "goes with a check that is not available in this version"
	ofAddress = "is not available in this version: IPv6"
)

// ldirectordRemarks say what to do about directives that have no place.
var ldirectordRemarks = map[string]string{
	"fallbackcommand":  "is not available in this version: let an alert on turnout_real_server_up do it",
	"checkcount":       "is not available: failurecount says how many failures in a row count",
	"checkcommand":     "is not carried over: put the script into health.exec_dir and name it in a check of type exec",
	"login":            ofLogin,
	"passwd":           ofLogin,
	"database":         ofLogin,
	"secret":           ofLogin,
	"load":             "is not available",
	"virtual6":         ofAddress,
	"real6":            ofAddress,
	"fallback6":        ofAddress,
	"emailalert":       ofMail,
	"emailalertfrom":   ofMail,
	"emailalertfreq":   ofMail,
	"emailalertstatus": ofMail,
	"smtp":             ofMail,
	"monitorfile":      "is not available: turnout's log has every change of health",
	"autoreload":       itself + ": watch_services in turnout.yaml does it for services.yaml",
	"callback":         itself,
	"cleanstop":        itself,
	"execute":          itself + ": import the file that it names as well",
	"fork":             itself,
	"logfile":          itself,
	"maintenancedir":   itself + ": give a real server weight 0 instead",
	"readdquiescent":   itself,
	"supervised":       itself,
}

// remarkOn returns why a directive is not carried over, "" if it is. Values are not repeated: some are passwords.
func remarkOn(d directive) string {
	switch text := ldirectordRemarks[d.key]; {
	case ldirectordSilent[d.key]:
		return ""
	case text != "":
		return d.key + " " + text
	}
	return printable(d.key) + " is not known here: not carried over"
}

// ldirectord is an ldirectord.cf on its way in.
type ldirectord struct {
	collector
	global   section
	services []section // each begins with its virtual line
}

// readLdirectord reads an ldirectord.cf.
func readLdirectord(data []byte) (*Result, error) {
	l := ldirectord{collector: collector{direct: "gate"}}
	for i, text := range strings.Split(string(data), "\n") {
		l.read(i+1, text)
	}
	for _, d := range l.global {
		if text := remarkOn(d); text != "" {
			l.remark(d.line, "%s", text)
		}
	}
	for _, s := range l.services {
		l.virtualService(s)
	}
	return l.finish(), nil
}

// read sorts a line: one that is indented belongs to the virtual line before it.
func (l *ldirectord) read(line int, text string) {
	text, _, _ = strings.Cut(text, "#")
	if strings.TrimSpace(text) == "" {
		return
	}
	key, value, ok := strings.Cut(text, "=")
	d := directive{line, strings.TrimSpace(key), strings.TrimSpace(value)}
	indented := strings.IndexAny(text, " \t") == 0
	switch {
	case !ok:
		l.remark(line, "not of the form key = value: left out")
	case d.key == "virtual" || d.key == "virtual6":
		l.services = append(l.services, section{d})
	case !indented:
		l.global = append(l.global, d)
	case len(l.services) == 0:
		l.remark(line, "indented, but no virtual line is before it: left out")
	default:
		last := &l.services[len(l.services)-1]
		*last = append(*last, d)
	}
}

func (l *ldirectord) virtualService(s section) {
	vip, port := splitPort(s[0].value)
	v := virtualService{
		line: s[0].line, text: s[0].key + "=" + s[0].value, name: s.option("servicename").text, vip: vip, port: port,
		protocol:    cmp.Or(s.option("protocol").text, "tcp"),
		persistence: s.option("persistent"), netmask: s.option("netmask"),
		scheduler: s.option("scheduler"), flags: strings.Split(s.option("schedflags").text, ","),
	}
	if v.scheduler.line == 0 {
		v.scheduler = option{v.line, "wrr"} // ldirectord's default
	}
	if port == "53" && s.option("protocol").line == 0 {
		v.protocol = "udp" // ldirectord's default
	}
	if port == "" {
		v.protocol = fwmark
	}
	v.keepsFlows = l.ownOrGlobal(s, "quiescent").text == "yes" // the manual says so, the program does not: its default is no
	if ops := s.option("ops"); ops.text == "yes" {
		v.onePacket = option{ops.line, "ops"}
	}
	v.sorry = fallbackOf(l.ownOrGlobal(s, "fallback"))
	for _, d := range s {
		if text := remarkOn(d); text != "" {
			v.remark(d.line, "%s", text)
		}
	}
	if checktype := s.option("checktype"); checktype.text == "off" {
		l.remark(v.line, "service left out: checktype=off (line %d) gives no real server any flow", checktype.line)
		return
	}
	checks := sync.OnceValue(func() store.HealthChecks { return l.healthCheckOf(s, v) })
	for _, d := range s {
		if d.key == "real" {
			v.realServers = append(v.realServers, realServersOf(d, checks)...)
		}
	}
	l.add(v)
}

// ownOrGlobal returns the value of a key that a service may have of its own.
func (l *ldirectord) ownOrGlobal(s section, key string) option {
	if own := s.option(key); own.line > 0 {
		return own
	}
	return l.global.option(key)
}

// fallbackOf reads ADDRESS[:PORT] [METHOD].
func fallbackOf(o option) realServer {
	fields := strings.Fields(o.text)
	if len(fields) == 0 {
		return realServer{line: o.line}
	}
	rs := realServer{line: o.line, method: "gate"} // ldirectord's default
	rs.address, rs.port = splitPort(fields[0])
	if len(fields) > 1 {
		rs.method = fields[1]
	}
	return rs
}

// realLine is the value of a real line: address, end of a range, port, method, weight, request and receive, limits.
var realLine = regexp.MustCompile(`^([^\s>:]+?)(?:->([^\s>:]+))?(?::+([^\s:]+))?\s+(\w+)(?:\s+(\d+))?(.*)$`)

// realServersOf returns the real servers of a line, which are many for a range of addresses.
func realServersOf(d directive, checks func() store.HealthChecks) []realServer {
	m := realLine.FindStringSubmatch(d.value)
	if m == nil {
		return []realServer{{line: d.line, address: d.value, wrong: errors.New("not of the form ADDRESS[->ADDRESS]:PORT gate|masq|ipip [WEIGHT]")}}
	}
	rs := realServer{line: d.line, address: m[1], port: m[3], method: m[4], weight: m[5], checks: checks}
	rs.realOptions(m[6])
	addresses, err := addressRange(m[1], m[2])
	if err != nil {
		rs.wrong = err
		return []realServer{rs}
	}
	var list []realServer
	for _, address := range addresses {
		rs.address = address
		list = append(list, rs)
	}
	return list
}

// realOptions reads what follows the weight.
func (rs *realServer) realOptions(text string) {
	if strings.Contains(text, `"`) {
		rs.remark(rs.line, "a request and receive pair of one real server is not available: turnout checks all real servers of a service alike")
	}
	for _, field := range strings.Fields(text) {
		if limit, ok := strings.CutPrefix(field, "u:"); ok {
			rs.upper = option{rs.line, limit}
		}
		if limit, ok := strings.CutPrefix(field, "l:"); ok {
			rs.lower = option{rs.line, limit}
		}
	}
}

const maxRange = 1024

// addressRange returns the addresses from first to last; no last: first alone, which then may be anything.
func addressRange(first, last string) ([]string, error) {
	if last == "" {
		return []string{first}, nil
	}
	from, err := parseAddress(first)
	if err != nil {
		return nil, err
	}
	to, err := parseAddress(last)
	if err != nil {
		return nil, err
	}
	var list []string
	for addr := from; addr.Compare(to) <= 0 && addr.IsValid(); addr = addr.Next() {
		if list = append(list, addr.String()); len(list) > maxRange {
			return nil, fmt.Errorf("more than %d addresses from %s to %s: write smaller ranges and import again", maxRange, from, to)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s is after %s: write the lower address first and import again", from, to)
	}
	return list, nil
}

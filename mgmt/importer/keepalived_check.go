package importer

import (
	"strconv"
	"strings"
	"time"

	"turnout/mgmt/store"
)

// checker is what is known of one kind of keepalived's checkers.
type checker struct {
	known bool
	kind  store.CheckType // "": turnout has none like it
	retry int             // further failures after the first until a real server is down
}

var checkers = map[string]checker{
	"TCP_CHECK":  {true, store.CheckTCP, 1},
	"HTTP_GET":   {true, store.CheckHTTP, 1},
	"SSL_GET":    {true, store.CheckHTTPS, 1},
	"SMTP_CHECK": {true, "", 1},
	"DNS_CHECK":  {true, store.CheckDNS, 3},
	"UDP_CHECK":  {true, store.CheckUDP, 1},
	"PING_CHECK": {true, store.CheckICMP, 1},
	"MISC_CHECK": {true, "", 0},
	"FILE_CHECK": {true, "", 0},
	"BFD_CHECK":  {true, "", 0},
}

// checkerRemarks say what to do about options of a checker or a url that have no place.
var checkerRemarks = map[string]string{
	"connect_ip":         "is not available in this version: the check goes to the real server's own address",
	"bindto":             "is not available: checks come from the DIP",
	"bind_if":            "is not available: checks come from the DIP",
	"bind_port":          "is not available: checks come from any port of the DIP",
	"fwmark":             "is not available: checks carry no mark",
	"digest":             "is not available: body or body_regex in health_check can look at the answer's body",
	"payload":            "is not carried over: an empty packet is sent; write send or send_hex into health_check",
	"min_reply_length":   "is not available in this version: a reply of any length passes",
	"max_reply_length":   "is not available in this version: a reply of any length passes",
	"delay_before_retry": "is not available in this version: after a failure the next probe comes at the interval (delay_loop)",
}

// checkerSilent are options that are read elsewhere, need no word, or go with one that has its remark.
var checkerSilent = words("url path connect_port connect_timeout retry nb_get_retry delay_loop virtualhost alpha warmup log_all_failures fast_recovery " +
	"http_protocol enable_sni status_code regex helo_name host type name misc_path misc_timeout misc_dynamic user require_reply " +
	"track_file weight regex_no_match regex_options regex_stack regex_min_offset regex_max_offset")

// checkers translates the checks of one real server, which must all pass. within begins with its block.
func (c *collector) checkers(protocol, realServerPort string, within scope) store.HealthChecks {
	var list []store.HealthCheck
	for _, b := range within[0].blocks {
		if !checkers[b.key()].known {
			continue
		}
		c.checkerOptions(b)
		here := within.with(b)
		list = append(list, c.checker(b, here, protocol, c.checkPort(b, here.text(realServerPort, "connect_port")))...)
	}
	return together(list)
}

func (c *collector) checkPort(b *block, text string) uint16 {
	port, err := parsePort(text)
	if err != nil {
		c.remark(b.line, "connect_port: %v", err)
	}
	return port
}

// checkerOptions remarks what of a checker's options, and of its urls', is lost.
func (c *collector) checkerOptions(b *block) {
	for _, s := range b.blocks {
		if text := checkerRemarks[s.key()]; text != "" {
			c.remark(s.line, "%s %s", s.key(), text)
		} else if text == "" && !checkerSilent[s.key()] {
			c.remark(s.line, "%s", keepalivedRemark(s))
		}
		if s.key() == "url" {
			c.checkerOptions(s)
		}
	}
}

func (c *collector) checker(b *block, within scope, protocol string, port uint16) (list []store.HealthCheck) {
	t := c.checkerTiming(b, within)
	kind := checkers[b.key()].kind
	switch {
	case b.key() == "MISC_CHECK":
		list = append(list, c.standIn("MISC_CHECK runs a command, and checks of type exec only files in health.exec_dir", protocol, port, t))
	case kind == "":
		list = append(list, c.standIn(b.key()+" is not available in this version", protocol, port, t))
	case kind == store.CheckHTTP || kind == store.CheckHTTPS:
		list = c.urls(kind, b, within, port, t)
	default:
		list = append(list, packetCheck(b, c.check(kind, port, t)))
	}
	for i := range list {
		if list[i].Type != store.CheckNone && !within.isOn("alpha") {
			list[i].Initial = store.InitialUp
		}
	}
	return list
}

// packetCheck adds what a checker of udp or dns says.
func packetCheck(b *block, check store.HealthCheck) store.HealthCheck {
	here := scope{b}
	switch check.Type {
	case store.CheckUDP:
		check.Reply = here.isOn("require_reply")
	case store.CheckDNS:
		check.Query, check.QueryType = here.text(".", "name"), strings.ToUpper(here.text("SOA", "type"))
	}
	return check
}

// urls makes one check of each url: all must answer.
func (c *collector) urls(kind store.CheckType, b *block, within scope, port uint16, t timing) (list []store.HealthCheck) {
	for _, url := range b.all("url") {
		here := within.with(url)
		check := c.check(kind, port, t)
		if check.Type == kind {
			check.Path, check.Host = here.text("/", "path"), here.text("", "virtualhost")
			check = c.expectations(check, url)
		}
		list = append(list, check)
	}
	if len(list) == 0 {
		list = append(list, c.check(kind, port, t))
	}
	return list
}

// expectations adds what a url says of the answer. keepalived's expressions are PCRE; RE2 lacks some of it.
func (c *collector) expectations(check store.HealthCheck, url *block) store.HealthCheck {
	for _, s := range url.all("status_code") {
		codes := store.StatusSet(strings.Join(s.words[1:], ","))
		check = c.expect(check, s.line, "status_code", func(h *store.HealthCheck) { h.Status = codes })
	}
	for _, s := range url.all("regex") {
		if len(url.all("regex_no_match", "regex_options")) > 0 {
			c.remark(s.line, "regex with regex_no_match or regex_options is not available in this version: the answer's body is not looked at")
			continue
		}
		check = c.expect(check, s.line, "regex", func(h *store.HealthCheck) { h.BodyRegex = s.arg(1) })
	}
	return check
}

func (c *collector) checkerTiming(b *block, within scope) timing {
	return timing{
		line:     b.line,
		interval: c.seconds(within, 60*time.Second, "delay_loop"),
		timeout:  c.seconds(within, 5*time.Second, "connect_timeout"),
		fall:     1 + c.retries(within, checkers[b.key()].retry),
	}
}

// seconds returns the option's value, or usual if there is none that can be read.
func (c *collector) seconds(within scope, usual time.Duration, key string) time.Duration {
	b := within.option(key)
	if b == nil {
		return usual
	}
	d, err := parseSeconds(b.arg(1))
	if err != nil {
		c.remark(b.line, "%s: %v: %s is in its place", key, err, usual)
		return usual
	}
	return d
}

func (c *collector) retries(within scope, usual int) int {
	b := within.option("retry", "nb_get_retry")
	if b == nil {
		return usual
	}
	n, err := strconv.ParseUint(b.arg(1), 10, 16)
	if err != nil {
		c.remark(b.line, "%s: %s is no number of failures: %d is in its place", b.key(), printable(b.arg(1)), usual)
		return usual
	}
	return int(n)
}

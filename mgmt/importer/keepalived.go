package importer

import (
	"cmp"
	"slices"
	"strings"

	"turnout/mgmt/store"
)

// keepalived's defaults, where they are not those of a check.
const (
	keepalivedScheduler   = "wlc"
	keepalivedMethod      = "NAT"
	keepalivedPersistence = "360"
)

// keepalivedSilent are options that need no word: turnout does the same unasked (warmup: first probes are spread
// out; sorry_server_inhibit: flows stay with the sorry server), has no use for them, or they are read with the checks.
var keepalivedSilent = words("alpha warmup delay_loop connect_timeout retry nb_get_retry virtualhost snmp_name " +
	"fast_recovery log_all_failures weight sorry_server_inhibit sorry_server_lvs_method")

// keepalivedRemarks say what to do about options of a virtual_server or real_server that have no place.
var keepalivedRemarks = map[string]string{
	"quorum_up":            "is not available in this version: let an alert on turnout_real_server_up do it",
	"quorum_down":          "is not available in this version: let an alert on turnout_real_server_up do it",
	"notify_up":            "is not available in this version: let an alert on turnout_real_server_up do it",
	"notify_down":          "is not available in this version: let an alert on turnout_real_server_up do it",
	"smtp_alert":           "is not available: let an alert on turnout_real_server_up do it",
	"inhibit_on_failure":   "is not available for one real server: on_down: keep does it for all of a service",
	"ha_suspend":           "is not available: a standby director (turnout role standby) goes on checking",
	"omega":                "is not available: there are no notify scripts to run at the end",
	"persistence_engine":   "is not available in this version",
	"ip_family":            "is not available: it goes with fwmark",
	"include":              "is not followed: put the text of that file in its place and import again",
	"virtual_server_group": "is not read: write a virtual_server for each of its addresses and import again",
	"vrrp_instance":        "stays with keepalived: take the VIPs out of its virtual_ipaddress, since turnout answers ARP for them, and let its notify script call turnout role",
	"vrrp_sync_group":      "stays with keepalived",
	"vrrp_script":          "stays with keepalived",
	"global_defs":          "stays with keepalived: nothing in it is of a service",
	"SSL":                  "is not available in this version: checks of type https send no certificate of their own",
	"static_ipaddress":     "stays with keepalived, or with the system's network configuration",
	"static_routes":        "stays with keepalived, or with the system's network configuration",
	"bfd_instance":         "stays with keepalived",
	"track_file":           "stays with keepalived",
	"vrrp_track_process":   "stays with keepalived",
	"static_rules":         "stays with keepalived, or with the system's network configuration",
	"delay_before_retry":   "is not available in this version: after a failure the next probe comes at the interval (delay_loop)",
}

// keepalivedRemark says why a statement is not carried over.
func keepalivedRemark(b *block) string {
	key := b.key()
	switch text := keepalivedRemarks[key]; {
	case strings.HasPrefix(key, "@"):
		return "a conditional line (" + printable(key) + ") is not read: leave in the file what is to hold and import again"
	case strings.HasPrefix(key, "$"):
		return "a definition (" + printable(key) + ") is not read: write its value where it is used and import again"
	case strings.HasPrefix(key, "include"):
		return printable(key) + " " + keepalivedRemarks["include"]
	case text != "":
		return printable(key) + " " + text
	}
	return printable(key) + " is not known here: not carried over"
}

// readKeepalived reads the virtual_server blocks of a keepalived.conf.
func readKeepalived(data []byte) (*Result, error) {
	root, remarks := readBlocks(data)
	c := collector{direct: "lvs_method DR", remarks: remarks}
	for _, b := range root.blocks {
		if b.key() == "virtual_server" {
			c.virtualServer(b)
		} else {
			c.remark(b.line, "%s", keepalivedRemark(b))
		}
	}
	return c.finish(), nil
}

func (c *collector) virtualServer(b *block) {
	v := virtualService{line: b.line, text: strings.Join(b.words, " "), vip: b.arg(1), port: b.arg(2), protocol: "tcp"}
	if b.arg(1) == "group" {
		c.remark(b.line, "service left out: it has the addresses of a virtual_server_group: write a virtual_server for each of them and import again")
		return
	}
	v.scheduler = option{b.line, keepalivedScheduler}
	for _, s := range b.blocks {
		v.keepalivedOption(s)
	}
	if b.arg(1) == "fwmark" {
		v.protocol = fwmark
	}
	here := scope{b}
	v.keepsFlows = here.isOn("inhibit_on_failure")
	v.sorry.method = here.text(here.text(keepalivedMethod, "lb_kind", "lvs_method"), "sorry_server_lvs_method")
	for _, s := range b.all("real_server") {
		v.realServers = append(v.realServers, c.realServerBlock(v, b, s))
	}
	c.add(v)
}

var schedulerFlags = words("sh-port sh-fallback mh-port mh-fallback flag-1 flag-2 flag-3")

func (v *virtualService) keepalivedOption(s *block) {
	switch key := s.key(); {
	case key == "lb_algo" || key == "lvs_sched":
		v.scheduler = option{s.line, s.arg(1)}
	case key == "protocol":
		v.protocol = strings.ToLower(s.arg(1))
	case key == "persistence_timeout":
		v.persistence = option{s.line, s.arg(1)}
		if s.arg(1) == "" {
			v.persistence.text = keepalivedPersistence
		}
	case key == "persistence_granularity":
		v.netmask = option{s.line, s.arg(1)}
	case key == "ops":
		v.onePacket = option{s.line, key}
	case key == "quorum":
		v.quorum = option{s.line, s.arg(1)}
	case key == "hysteresis":
		v.hysteresis = option{s.line, s.arg(1)}
	case key == "sorry_server":
		v.sorry = realServer{line: s.line, address: s.arg(1), port: s.arg(2)}
	case schedulerFlags[key]:
		v.flags = append(v.flags, key)
	case key == "snmp_name":
		v.name = s.arg(1)
	case key == "real_server" || key == "lb_kind" || key == "lvs_method" || key == "inhibit_on_failure" || keepalivedSilent[key]:
	default:
		v.remark(s.line, "%s", keepalivedRemark(s))
	}
}

func (c *collector) realServerBlock(v virtualService, virtualServer, b *block) realServer {
	within := scope{b, virtualServer}
	rs := realServer{
		line: b.line, address: b.arg(1), port: b.arg(2),
		method: within.text(keepalivedMethod, "lb_kind", "lvs_method"),
		weight: scope{b}.text("1", "weight"),
	}
	for _, s := range b.blocks {
		switch key := s.key(); {
		case key == "uthreshold":
			rs.upper = option{s.line, s.arg(1)}
		case key == "lthreshold":
			rs.lower = option{s.line, s.arg(1)}
		case key == "inhibit_on_failure" && (v.keepsFlows || !scope{b}.isOn(key)):
		case key == "lb_kind" || key == "lvs_method" || keepalivedSilent[key] || checkers[key].known:
		default:
			rs.remark(s.line, "%s", keepalivedRemark(s))
		}
	}
	rs.checks = func() store.HealthChecks { return c.checkers(v.protocol, cmp.Or(rs.port, v.port), within) }
	return rs
}

// scope is where an option may stand: the innermost block that has it counts.
type scope []*block

// option returns the statement of one of the keys that counts; the last one of a block does. nil: there is none.
func (s scope) option(keys ...string) *block {
	for _, b := range s {
		if found := b.all(keys...); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	return nil
}

// text returns the value of the option, or usual if there is none.
func (s scope) text(usual string, keys ...string) string {
	if b := s.option(keys...); b != nil {
		return b.arg(1)
	}
	return usual
}

// isOn says whether an option without a value, or with one that means yes, is there.
func (s scope) isOn(key string) bool {
	b := s.option(key)
	return b != nil && (len(b.words) == 1 || words("on true yes")[b.arg(1)])
}

// with returns a scope whose innermost block is b.
func (s scope) with(b *block) scope { return slices.Insert(slices.Clone(s), 0, b) }

package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ipvsadmOptions are ipvsadm's long names for the options that a saved table may hold. What has no short name stands
// for itself.
var ipvsadmOptions = map[string]string{
	"--add-service": "-A", "--add-server": "-a",
	"--tcp-service": "-t", "--udp-service": "-u", "--fwmark-service": "-f", "--real-server": "-r",
	"--scheduler": "-s", "--persistent": "-p", "--netmask": "-M", "--sched-flags": "-b", "--ops": "-o", "--ipv6": "-6",
	"--gatewaying": "-g", "--ipip": "-i", "--masquerading": "-m", "--weight": "-w", "--u-threshold": "-x", "--l-threshold": "-y",
	"--numeric": "-n",
}

// Options by what follows them.
var (
	ipvsadmFlags  = words("-A -a -o -6 -g -i -m -n --tun-nocsum --tun-csum --tun-remcsum")
	ipvsadmValued = words("-t -u -f -r -s -p -M -b -w -x -y --sctp-service --pe --tun-type --tun-port")
)

func words(s string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(s) {
		set[word] = true
	}
	return set
}

// rule is one line of a saved table: values by option, in the short form where there is one.
type rule struct {
	line    int
	options map[string]string
}

func (r rule) has(option string) bool {
	_, ok := r.options[option]
	return ok
}

// table is a saved table on its way in.
type table struct {
	collector
	services []*virtualService
	known    map[string]*virtualService
}

// readIPVSAdm reads what "ipvsadm --save -n" prints. The error is for a table saved with names.
func readIPVSAdm(data []byte) (*Result, error) {
	t := table{collector: collector{direct: "-g"}, known: map[string]*virtualService{}}
	for i, text := range strings.Split(string(data), "\n") {
		r, err := parseRule(i+1, text)
		if err := r.names(); err != nil {
			return nil, err
		}
		if err == nil && r.options != nil {
			err = t.apply(r)
		}
		if err != nil {
			t.remark(i+1, "line left out: %v", err)
		}
	}
	for _, v := range t.services {
		t.add(*v)
	}
	t.remarkNoChecks()
	return t.finish(), nil
}

func (t *table) apply(r rule) error {
	v := t.known[r.service()]
	switch {
	case r.has("-A") && v != nil:
		return fmt.Errorf("line %d has the same service", v.line)
	case r.has("-A"):
		v = r.virtualService()
		t.known[r.service()], t.services = v, append(t.services, v)
	case v == nil:
		return errors.New("no -A line before it has this service")
	default:
		v.realServers = append(v.realServers, r.realServer())
	}
	return nil
}

// remarkNoChecks says once what the real servers are checked by from now on.
func (c *collector) remarkNoChecks() {
	if len(c.taken) > 0 {
		c.remark(c.taken[0].origin.line, "ipvsadm's table has no health checks: each tcp service gets turnout's default, a tcp check of its port every 2s; "+
			"those of udp and of port 0 get none; change health_check where the real servers need another one")
	}
}

// parseRule reads a line; a blank one and a comment have no options.
func parseRule(line int, text string) (rule, error) {
	r := rule{line: line}
	fields := strings.Fields(text)
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return r, nil
	}
	r.options = map[string]string{}
	for len(fields) > 0 {
		option, rest, err := parseOption(fields)
		if err != nil {
			return r, err
		}
		r.options[option], fields = strings.Join(fields[1:len(fields)-len(rest)], ""), rest
	}
	if r.service() == "" || !r.has("-A") && !r.has("-a") {
		return r, errors.New("only what adds a service (-A) or a real server (-a) is read")
	}
	return r, nil
}

// parseOption returns the first option's short name and the fields after its value.
func parseOption(fields []string) (option string, rest []string, err error) {
	option = fields[0]
	if short, ok := ipvsadmOptions[option]; ok {
		option = short
	}
	switch {
	case ipvsadmFlags[option]:
		return option, fields[1:], nil
	case option == "-p" && (len(fields) == 1 || strings.HasPrefix(fields[1], "-")): // the one with an optional value
		return option, fields[1:], nil
	case ipvsadmValued[option] && len(fields) > 1:
		return option, fields[2:], nil
	case ipvsadmValued[option]:
		return option, nil, fmt.Errorf("%s has no value", option)
	}
	return option, nil, fmt.Errorf("%s is not known", printable(option))
}

// service tells services apart.
func (r rule) service() string {
	for _, option := range []string{"-t", "-u", "-f", "--sctp-service"} {
		if r.has(option) {
			return option + " " + r.options[option]
		}
	}
	return ""
}

// names refuses host and port names, of which nobody can tell what addresses they stood for when the table was saved.
func (r rule) names() error {
	for _, option := range []string{"-t", "-u", "--sctp-service", "-r"} {
		value := r.options[option]
		_, err := netip.ParseAddrPort(value)
		if _, alone := netip.ParseAddr(strings.Trim(value, "[]")); r.has(option) && err != nil && alone != nil {
			return fmt.Errorf("line %d: %s is no address and port in numbers: save the table with numbers (ipvsadm --save -n > FILE) and import that",
				r.line, printable(value))
		}
	}
	return nil
}

func (r rule) virtualService() *virtualService {
	protocol, address := r.frontend()
	vip, port := splitPort(address)
	v := &virtualService{
		line: r.line, text: "-A " + r.service(), protocol: protocol, vip: vip, port: port,
		scheduler: option{r.line, "wlc"}, // ipvsadm's default
		flags:     strings.Split(r.options["-b"], ","),
	}
	if r.has("-s") {
		v.scheduler.text = r.options["-s"]
	}
	if r.has("-p") {
		v.persistence = option{r.line, r.options["-p"]}
	}
	if v.persistence.text == "" {
		v.persistence.text = "300" // ipvsadm's default
	}
	if r.has("-M") {
		v.netmask = option{r.line, r.options["-M"]}
	}
	if r.has("-o") {
		v.onePacket = option{r.line, "-o"}
	}
	if r.has("--pe") {
		v.remark(r.line, "persistence engine %s is not available in this version", printable(r.options["--pe"]))
	}
	return v
}

func (r rule) frontend() (protocol, address string) {
	switch {
	case r.has("-t"):
		return "tcp", r.options["-t"]
	case r.has("-u"):
		return "udp", r.options["-u"]
	case r.has("-f"):
		return fwmark, r.options["-f"]
	}
	return "sctp", r.options["--sctp-service"]
}

func (r rule) realServer() realServer {
	address, port := splitPort(r.options["-r"])
	rs := realServer{line: r.line, address: address, port: port, method: "-g", weight: r.options["-w"]}
	for _, method := range []string{"-i", "-m"} {
		if r.has(method) {
			rs.method = method
		}
	}
	if r.has("-x") {
		rs.upper = option{r.line, r.options["-x"]}
	}
	if r.has("-y") {
		rs.lower = option{r.line, r.options["-y"]}
	}
	return rs
}

// splitPort divides ADDRESS:PORT, where the address may be [IPv6].
func splitPort(s string) (address, port string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return s, ""
	}
	return s[:i], s[i+1:]
}

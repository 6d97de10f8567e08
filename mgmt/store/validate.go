package store

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"time"

	"turnout/lcore/frame"
	"turnout/sched"

	"github.com/goccy/go-yaml/ast"
)

// Bounds of what a service may ask for.
const (
	maxServices    = math.MaxUint16 // a flow names its service in 16 bits
	maxRealServers = math.MaxUint16 // and its real server's slot in 16 bits, one value of which means none

	minFlowTimeout = Duration(time.Second)
	maxFlowTimeout = Duration(24 * time.Hour)
	maxRamp        = Duration(time.Hour) // of slow_start and gradual

	minPrefix = 1 // bits of an IPv4 address that tell clients apart: with none, all would be one
	maxPrefix = 32
	minQuorum = 1

	// With 100 positions a server, shares keep within 1 % of the weights.
	positionsPerServer = 100
)

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// Check reads a services.yaml and judges it: Decode and Validate in one, every mistake with its line.
// file is the file's name in messages. The notes are sentences that stop nothing.
func Check(data []byte, file string, seg Segment) (State, []string, error) {
	d := decoder{file: file}
	if d.root, d.fatal = parseYAML(data); d.fatal != nil {
		return State{}, nil, d.err()
	}
	state := d.state(d.root, nil)
	v := validator{seg: seg, file: file, root: d.root}
	v.state(state)
	d.Merge(v.Err())
	return state, v.notes, d.err()
}

// Validate judges what the values say together, on the segment. The error is a *Mistakes with everything that is
// wrong; the notes are sentences that stop nothing.
func (s State) Validate(seg Segment) (notes []string, err error) {
	v := validator{seg: seg}
	v.state(s)
	return v.notes, v.sorted().Err()
}

type validator struct {
	seg   Segment
	file  string
	root  ast.Node // nil: lines are not known
	notes []string
	Mistakes
}

func (v *validator) wrong(at *place, format string, args ...any) {
	m := Mistake{File: v.file, Key: at.String(), Text: fmt.Sprintf(format, args...)}
	if v.root != nil {
		m.Line = at.line(v.root)
	}
	v.List = append(v.List, m)
}

func (v *validator) note(at *place, format string, args ...any) {
	v.notes = append(v.notes, at.String()+": "+fmt.Sprintf(format, args...))
}

// serviceLabel is what a service is called in messages: its name, if it is one.
func serviceLabel(name string) string {
	if namePattern.MatchString(name) {
		return name
	}
	return ""
}

// realServerLabel is what a real server is called in messages: its address, if it is one.
func realServerLabel(address string) string {
	if addr, err := netip.ParseAddr(address); err == nil && addr.Is4() {
		return address
	}
	return ""
}

// frontend is what a client addresses.
type frontend struct {
	vip      netip.Addr
	protocol Protocol
	port     uint16
}

func (v *validator) state(s State) {
	services := (*place)(nil).in("services")
	if len(s.Services) > maxServices {
		v.wrong(services, "%d services: at most %d are possible", len(s.Services), maxServices)
	}
	names, frontends, vips := map[string]*place{}, map[frontend]*place{}, map[netip.Addr]*place{}
	for i, svc := range s.Services {
		at := services.item(i, serviceLabel(svc.Name))
		v.name(svc.Name, at.in("name"), names)
		v.frontend(frontend{svc.VIP, svc.Protocol, svc.Port}, at, frontends)
		v.vip(svc.VIP, at.in("vip"))
		vips[svc.VIP] = at
	}
	macs := map[netip.Addr]string{}
	for i, svc := range s.Services {
		at := services.item(i, serviceLabel(svc.Name))
		v.options(svc, at)
		v.flowKeys(svc, at)
		v.availability(svc, at)
		v.outlier(svc, at.in("outlier"))
		v.sorryServer(svc, at.in("sorry_server"), vips, macs)
		v.healthChecks(svc, at.in("health_check"))
		v.realServers(svc.RealServers, at.in("real_servers"), vips, macs)
	}
}

func (v *validator) name(name string, at *place, names map[string]*place) {
	if !namePattern.MatchString(name) {
		v.wrong(at, "%q: write 1 to 63 of a-z, 0-9, dot and dash, a letter or digit first", name)
		return
	}
	if first, again := names[name]; again {
		v.wrong(at, "another service has this name%s: choose a new one", v.since(first))
		return
	}
	names[name] = at
}

func (v *validator) frontend(f frontend, at *place, frontends map[frontend]*place) {
	if sentence := protocols.refusal(string(f.protocol)); sentence != "" {
		v.wrong(at.in("protocol"), "%s", sentence)
		return
	}
	if !f.vip.IsValid() {
		return
	}
	if first, again := frontends[f]; again {
		v.wrong(at, "%s port %d on %s is that of %s%s already: change vip, protocol or port", f.protocol, f.port, f.vip, first, v.since(first))
		return
	}
	frontends[f] = at
}

// since names the line of an earlier mention, where lines are known.
func (v *validator) since(first *place) string {
	if v.root == nil {
		return ""
	}
	return fmt.Sprintf(" (line %d)", first.line(v.root))
}

func (v *validator) vip(vip netip.Addr, at *place) {
	if !vip.Is4() {
		v.wrong(at, "write an IPv4 address")
		return
	}
	if why := v.seg.unusable(vip); why != "" {
		v.wrong(at, "%s %s: write an address that clients can reach", vip, why)
		return
	}
	if v.seg.isDIP(vip) {
		v.wrong(at, "%s is the director's own address (DIP): a VIP must be another one, that no host has", vip)
		return
	}
	if _, local := v.seg.subnet(vip); !local && v.seg.known() {
		v.note(at, "%s is in no port's subnet: the router must have a route for it to the DIP", vip)
	}
}

// options judges the scheduler, its table, the ramps, persistence and the timeouts.
func (v *validator) options(svc Service, at *place) {
	if sentence := schedulers.refusal(svc.Scheduler); sentence != "" {
		v.wrong(at.in("scheduler"), "%s", sentence)
	}
	v.tableSize(svc, at.in("maglev").in("table_size"))
	if sentence := hashKeys.refusal(string(svc.Maglev.Hash)); sentence != "" {
		v.wrong(at.in("maglev").in("hash"), "%s", sentence)
	}
	v.duration(svc.SlowStart, at.in("slow_start"), 0, maxRamp)
	v.duration(svc.Gradual, at.in("gradual"), 0, maxRamp)
	if svc.Persistence != 0 {
		v.duration(svc.Persistence, at.in("persistence"), minFlowTimeout, maxFlowTimeout)
	}
	if svc.PersistencePrefix < minPrefix || svc.PersistencePrefix > maxPrefix {
		v.wrong(at.in("persistence_prefix"), "%d is out of range: %s", svc.PersistencePrefix, rangeText(minPrefix, maxPrefix))
	}
	timeouts := at.in("timeouts")
	v.duration(svc.Timeouts.Established, timeouts.in("established"), minFlowTimeout, maxFlowTimeout)
	v.duration(svc.Timeouts.SynReceived, timeouts.in("syn_received"), minFlowTimeout, maxFlowTimeout)
	v.duration(svc.Timeouts.FinWait, timeouts.in("fin_wait"), minFlowTimeout, maxFlowTimeout)
	v.duration(svc.Timeouts.UDP, timeouts.in("udp"), minFlowTimeout, maxFlowTimeout)
}

func (v *validator) tableSize(svc Service, at *place) {
	if err := sched.ValidTableSize(svc.Maglev.TableSize); err != nil {
		v.wrong(at, "%v", err)
		return
	}
	size, servers := svc.Maglev.TableSize, len(svc.RealServers)
	if svc.Scheduler != sched.Maglev.String() {
		return
	}
	if size < servers {
		v.wrong(at, "%d is less than the %d real servers: use a prime of at least %d", size, servers, positionsPerServer*servers)
		return
	}
	if size < positionsPerServer*servers {
		v.note(at, "%d is less than %d times the %d real servers: their shares of flows will be off by more than 1 %%", size, positionsPerServer, servers)
	}
}

func (v *validator) duration(d Duration, at *place, least, most Duration) {
	if d < least || d > most {
		v.wrong(at, "%s is out of range: %s to %s", d, least, most)
	}
}

func (v *validator) realServers(servers []RealServer, at *place, vips map[netip.Addr]*place, macs map[netip.Addr]string) {
	if len(servers) >= maxRealServers {
		v.wrong(at, "%d real servers: fewer than %d are possible", len(servers), maxRealServers)
	}
	seen := map[netip.Addr]*place{}
	for i, rs := range servers {
		at := at.item(i, realServerLabel(rs.Address.String()))
		if first, again := seen[rs.Address]; again && rs.Address.IsValid() {
			v.wrong(at, "is listed twice%s: keep one", v.since(first))
			continue
		}
		seen[rs.Address] = at
		v.address(rs.Address, at.in("address"), vips)
		v.mac(rs.Address, rs.MAC, at.in("mac"), macs)
		v.thresholds(rs, at)
	}
}

func (v *validator) address(rip netip.Addr, at *place, vips map[netip.Addr]*place) {
	if !rip.Is4() {
		v.wrong(at, "write an IPv4 address")
		return
	}
	if why := v.seg.unusable(rip); why != "" {
		v.wrong(at, "%s %s: write the real server's own address (RIP)", rip, why)
		return
	}
	if v.seg.isDIP(rip) {
		v.wrong(at, "%s is the director's own address (DIP): the director cannot be its own real server", rip)
		return
	}
	if svc, ok := vips[rip]; ok {
		v.wrong(at, "%s is the VIP of %s: write the real server's own address (RIP)", rip, svc)
		return
	}
	if _, local := v.seg.subnet(rip); !local && v.seg.known() {
		v.wrong(at, "%s is in no port's subnet: direct routing needs the real server on the director's own segment", rip)
	}
}

// mac judges a static MAC; macs are those given so far, by real server.
func (v *validator) mac(rip netip.Addr, text string, at *place, macs map[netip.Addr]string) {
	if text == "" {
		return
	}
	mac, err := frame.ParseMAC(text)
	if err != nil {
		v.wrong(at, `%q is not a MAC address, such as "02:00:00:00:01:22"`, text)
		return
	}
	if !mac.Host() {
		v.wrong(at, "%s is no host's own address: write the MAC of the real server's NIC", text)
		return
	}
	if other, given := macs[rip]; given && other != mac.String() {
		v.wrong(at, "%s has the MAC %s in another service: write the same one, or none", rip, other)
		return
	}
	macs[rip] = mac.String()
}

package importer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	"turnout/mgmt/store"
)

// virtualService is a virtual service as a file describes it, before it is judged.
type virtualService struct {
	line        int
	text        string // what opens it in the file
	name        string // wished for, may be empty
	vip, port   string // as written
	protocol    string // tcp, udp, fwmark or one that is refused
	scheduler   option
	flags       []string // of the scheduler
	persistence option   // seconds
	netmask     option   // groups clients for persistence
	quorum      option   // weight
	hysteresis  option   // weight
	onePacket   option   // no flow is remembered
	keepsFlows  bool     // a real server that is down keeps its flows
	sorry       realServer
	realServers []realServer
	remarks     []Remark // worth saying only if the service is carried over
}

func (v *virtualService) remark(line int, format string, args ...any) {
	v.remarks = append(v.remarks, Remark{line, fmt.Sprintf(format, args...)})
}

// fwmark stands for the protocol of a service that is known by a firewall mark instead of an address.
const fwmark = "fwmark"

// realServer is a real server as a file describes it.
type realServer struct {
	line          int
	address, port string                    // as written; no port: the service's
	method        string                    // how packets reach it, in the format's own word
	weight        string                    // as written; empty: 1
	upper, lower  option                    // limits of connections
	checks        func() store.HealthChecks // nil: the format knows none. Called only if the real server is carried over
	remarks       []Remark                  // worth saying only then
	wrong         error                     // why its line cannot be read
}

func (rs *realServer) remark(line int, format string, args ...any) {
	rs.remarks = append(rs.remarks, Remark{line, fmt.Sprintf(format, args...)})
}

// option is a value and where it stands; line 0: not in the file.
type option struct {
	line int
	text string
}

// collector gathers what is carried over.
type collector struct {
	direct  string // how the format asks for direct routing
	taken   []service
	remarks []Remark
}

// service is a service that is carried over, with what finish may still need of its origin.
type service struct {
	store.Service
	origin      virtualService
	realServers []realServer // those carried over, in the order of RealServers
}

func (c *collector) remark(line int, format string, args ...any) {
	c.remarks = append(c.remarks, Remark{line, fmt.Sprintf(format, args...)})
}

// add judges a virtual service and takes it, or remarks why it is left out.
func (c *collector) add(v virtualService) {
	svc, err := c.frontend(v)
	if err == nil {
		err = c.schedule(&svc, &v)
	}
	if err != nil {
		c.leaveOut(v, err)
		return
	}
	v.persist(&svc)
	v.quorums(&svc)
	v.onePackets(&svc)
	if v.keepsFlows {
		svc.OnDown = store.OnDownKeep
	}
	kept := c.realServers(&svc, v)
	if len(kept) == 0 && len(v.realServers) > 0 {
		c.leaveOut(v, errors.New("none of its real servers can be carried over"))
		return
	}
	c.sorryServer(&svc, v)
	c.healthChecks(&svc, v, kept)
	svc.Name = c.freeName(v, svc)
	c.remarks = append(c.remarks, v.remarks...)
	c.taken = append(c.taken, service{svc, v, kept})
}

func (c *collector) leaveOut(v virtualService, why error) {
	c.remark(v.line, "service left out: %v", why)
}

// frontend returns a service of VIP, protocol and port with every default in place.
func (c *collector) frontend(v virtualService) (store.Service, error) {
	if v.protocol == fwmark {
		return store.Service{}, errors.New("firewall marks are not available: write a service for each VIP, protocol and port that the mark stands for")
	}
	vip, err := parseAddress(v.vip)
	if err != nil {
		return store.Service{}, err
	}
	port, err := parsePort(v.port)
	if err != nil {
		return store.Service{}, err
	}
	svc, err := decodeService(map[string]any{"vip": vip, "protocol": v.protocol, "port": port})
	if err != nil {
		return svc, err
	}
	for _, other := range c.taken {
		if other.VIP == svc.VIP && other.Protocol == svc.Protocol && other.Port == svc.Port {
			return svc, fmt.Errorf("line %d has the same VIP, protocol and port", other.origin.line)
		}
	}
	return svc, valid(svc)
}

// realServers puts what can be carried over into the service and returns where it came from.
func (c *collector) realServers(svc *store.Service, v virtualService) (kept []realServer) {
	first := map[netip.Addr]int{}
	for _, rs := range v.realServers {
		server, err := c.realServer(*svc, &rs)
		if err == nil && first[server.Address] > 0 {
			err = fmt.Errorf("line %d has it already", first[server.Address])
		}
		if err != nil {
			c.remark(rs.line, "real server %s left out: %v", printable(rs.address), err)
			continue
		}
		first[server.Address] = rs.line
		c.remarks = append(c.remarks, rs.remarks...)
		svc.RealServers = append(svc.RealServers, server)
		kept = append(kept, rs)
	}
	return kept
}

func (c *collector) realServer(svc store.Service, rs *realServer) (server store.RealServer, err error) {
	if rs.wrong != nil {
		return server, rs.wrong
	}
	if server.Address, err = parseAddress(rs.address); err != nil {
		return server, err
	}
	if err := c.method(rs.method); err != nil {
		return server, err
	}
	if server.Weight, err = rs.parseWeight(); err != nil {
		return server, err
	}
	if err := rs.comparePort(svc.Port); err != nil {
		return server, err
	}
	if server.Address == svc.VIP {
		return server, errors.New("it is the VIP itself: write the real server's own address")
	}
	rs.thresholds(&server)
	svc.RealServers = []store.RealServer{server}
	return server, valid(svc)
}

// methods are the formats' words for the ways to reach a real server.
var methods = map[string]string{
	"-g": "", "DR": "", "gate": "",
	"-m": "NAT", "NAT": "NAT", "masq": "NAT",
	"-i": "a tunnel", "TUN": "a tunnel", "ipip": "a tunnel",
}

func (c *collector) method(word string) error {
	way, known := methods[word]
	if !known {
		return fmt.Errorf("forwarding method %s is not known: if direct routing is meant, write %s and import again", printable(word), c.direct)
	}
	if way == "" {
		return nil
	}
	return fmt.Errorf("it is reached by %s, and turnout forwards by direct routing only: put the real server on the director's segment, "+
		"give it the VIP (turnout realserver --apply), write %s here and import again", way, c.direct)
}

func (rs *realServer) parseWeight() (uint16, error) {
	if rs.weight == "" {
		return 1, nil
	}
	weight, err := strconv.ParseUint(rs.weight, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("weight %s is no whole number of 0 or more", printable(rs.weight))
	}
	if weight > math.MaxUint16 {
		rs.remark(rs.line, "weight %d is more than the %d possible, which is written in its place: divide the weights of all real servers of the service", weight, math.MaxUint16)
	}
	return uint16(min(weight, math.MaxUint16)), nil
}

// comparePort remarks a port that IPVS takes but does not use: direct routing leaves the packet as it is.
func (rs *realServer) comparePort(service uint16) error {
	if rs.port == "" {
		return nil
	}
	port, err := parsePort(rs.port)
	if err == nil && port != 0 && port != service {
		rs.remark(rs.line, "port %d of real server %s: direct routing translates no ports, in IPVS neither: the real server must listen on port %d",
			port, printable(rs.address), service)
	}
	return err
}

// healthChecks gives the service the checks of its first real server: turnout checks all of a service alike.
func (c *collector) healthChecks(svc *store.Service, v virtualService, kept []realServer) {
	if len(kept) == 0 || kept[0].checks == nil {
		return
	}
	judged := *svc
	judged.RealServers, judged.HealthChecks = nil, kept[0].checks()
	if err := valid(judged); err != nil {
		c.remark(kept[0].line, "health check not carried over: %v; turnout's default is in its place", err)
		return
	}
	svc.HealthChecks = judged.HealthChecks
	for _, rs := range kept[1:] {
		if !reflect.DeepEqual(rs.checks(), svc.HealthChecks) {
			c.remark(rs.line, "real server %s has other health checks than %s: turnout checks all real servers of a service alike, and takes those of the first (line %d)",
				printable(rs.address), kept[0].address, kept[0].line)
		}
	}
}

// freeName returns the name that the file gives, or one made of the service's address, with a number if it is taken.
func (c *collector) freeName(v virtualService, svc store.Service) string {
	base := nameOf(v.name)
	if base == "" {
		base = fmt.Sprintf("%s-%s-%d", svc.Protocol, svc.VIP, svc.Port)
	}
	name := base
	for n := 2; slices.ContainsFunc(c.taken, func(s service) bool { return s.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

// finish drops the real servers and sorry servers that turned out to be VIPs, since clients' packets would come back to the director.
func (c *collector) finish() *Result {
	vips := map[netip.Addr]int{}
	for _, s := range c.taken {
		vips[s.VIP] = s.origin.line
	}
	result := &Result{State: store.State{Services: []store.Service{}}}
	for _, s := range c.taken {
		before := len(s.RealServers)
		s.Service.RealServers = c.notVIPs(s, vips)
		if len(s.Service.RealServers) == 0 && before > 0 {
			c.leaveOut(s.origin, errors.New("none of its real servers can be carried over"))
			continue
		}
		if sorry := s.SorryServer.Address; vips[sorry] > 0 {
			c.remark(s.origin.sorry.line, "sorry server %s left out: it is the VIP of line %d: write the server's own address", sorry, vips[sorry])
			s.SorryServer = store.SorryServer{}
		}
		result.State.Services = append(result.State.Services, s.Service)
		result.Sources = append(result.Sources, fmt.Sprintf("line %d: %s", s.origin.line, printable(s.origin.text)))
	}
	result.Remarks = inOrder(c.remarks)
	return result
}

// inOrder sorts remarks by line and drops those said before of the same line.
func inOrder(remarks []Remark) []Remark {
	said := map[Remark]bool{}
	remarks = slices.DeleteFunc(remarks, func(r Remark) bool {
		again := said[r]
		said[r] = true
		return again
	})
	slices.SortStableFunc(remarks, func(a, b Remark) int { return cmp.Compare(a.Line, b.Line) })
	return remarks
}

func (c *collector) notVIPs(s service, vips map[netip.Addr]int) (servers []store.RealServer) {
	for i, rs := range s.RealServers {
		if line := vips[rs.Address]; line > 0 {
			c.remark(s.realServers[i].line, "real server %s left out: it is the VIP of line %d: write the real server's own address", rs.Address, line)
			continue
		}
		servers = append(servers, rs)
	}
	return servers
}

package store

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"turnout/sched"

	"github.com/goccy/go-yaml/ast"
)

// notAvailable ends every refusal of a key or value whose feature is not built.
const notAvailable = "not available in this version"

// words is a closed list of values.
type words struct {
	known   []string
	planned []string          // of a later version
	instead map[string]string // not to be had, and what to do instead
}

var (
	protocols  = words{known: []string{string(TCP), string(UDP)}, planned: []string{"sctp"}}
	hashKeys   = words{known: []string{string(HashFiveTuple), string(HashSource)}}
	schedulers = words{known: sched.Names(), instead: map[string]string{
		"mh":    "write maglev, which mh is in IPVS, with maglev: {hash: source} for IPVS's default of hashing the client address alone",
		"lblc":  noLBLC,
		"lblcr": noLBLC,
	}}
	onDowns  = words{known: []string{string(OnDownReschedule), string(OnDownKeep), string(OnDownDrop)}}
	refusals = words{known: []string{string(RefuseDrop), string(RefuseUnreachable)}}
)

const noLBLC = "picks by the destination address, which is the VIP for every flow of a service: all would go to one real server; " +
	"use maglev with hash: source for clients that come back, or wlc for load"

// refusal returns the sentence that refuses s, or "" for a known word.
func (w words) refusal(s string) string {
	if slices.Contains(w.known, s) {
		return ""
	}
	if sentence, ok := w.instead[s]; ok {
		return s + ": " + sentence
	}
	choices := "use " + strings.Join(w.known, ", ")
	if slices.Contains(w.planned, s) {
		return fmt.Sprintf("%s is %s: %s", s, notAvailable, choices)
	}
	if near := nearest(s, w.known); near != "" {
		choices = fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Sprintf("%q is unknown: %s", s, choices)
}

// Keys of a later version, refused rather than passed over.
var (
	plannedServiceKeys    = []string{"vlan", "rate_limit"}
	plannedRealServerKeys = []string{"vlan", "forwarding", "health_check"}
)

// newService is a service of which only defaults are known.
func newService() Service {
	return Service{
		Scheduler:         schedulers.known[0],
		Maglev:            Maglev{TableSize: sched.DefaultTableSize, Hash: HashFiveTuple},
		PersistencePrefix: maxPrefix,
		OnDown:            OnDownReschedule,
		NoRealServer:      RefuseDrop,
		Quorum:            1,
		Outlier:           Outlier{MinSyns: 20, Eject: Duration(30 * time.Second), MaxEjected: 30},
		Timeouts: Timeouts{ // as IPVS
			Established: Duration(15 * time.Minute),
			SynReceived: Duration(time.Minute),
			FinWait:     Duration(2 * time.Minute),
			UDP:         Duration(5 * time.Minute),
		},
	}
}

func (d *decoder) state(n ast.Node, at *place) State {
	state := State{Services: []Service{}}
	known := fields{"services": func(d *decoder, n ast.Node, at *place) {
		if kind(n) == "empty" {
			d.wrong(n, at, `is empty: write "services: []" if no service is meant`)
		}
		d.list(n, at, func(i int, item ast.Node) {
			state.Services = append(state.Services, d.service(item, at.item(i, serviceLabel(scalar(item, "name")))))
		})
	}}
	d.mapping(n, at, schema{fields: known, required: []string{"services"}, shown: []string{"generation"}})
	return state
}

func (d *decoder) service(n ast.Node, at *place) Service {
	svc := newService()
	var checks ast.Node
	known := fields{
		"name":               text(&svc.Name),
		"vip":                address(&svc.VIP),
		"protocol":           word(&svc.Protocol, protocols),
		"port":               integer(&svc.Port, 0, math.MaxUint16),
		"scheduler":          word(&svc.Scheduler, schedulers),
		"maglev":             svc.Maglev.read,
		"slow_start":         duration(&svc.SlowStart),
		"gradual":            duration(&svc.Gradual),
		"persistence":        duration(&svc.Persistence),
		"persistence_prefix": integer(&svc.PersistencePrefix, minPrefix, maxPrefix),
		"on_down":            word(&svc.OnDown, onDowns),
		"one_packet":         boolean(&svc.OnePacket),
		"strict_tcp":         boolean(&svc.StrictTCP),
		"no_real_server":     word(&svc.NoRealServer, refusals),
		"quorum":             integer(&svc.Quorum, minQuorum, math.MaxUint32),
		"hysteresis":         integer(&svc.Hysteresis, 0, math.MaxUint32),
		"sorry_server":       svc.SorryServer.read,
		"outlier":            svc.Outlier.read,
		"timeouts":           svc.Timeouts.read,
		"health_check":       func(_ *decoder, n ast.Node, _ *place) { checks = n },
		"real_servers":       func(d *decoder, n ast.Node, at *place) { svc.RealServers = d.realServers(n, at) },
	}
	d.mapping(n, at, schema{
		fields:   known,
		required: []string{"name", "vip", "protocol", "port"},
		planned:  plannedServiceKeys,
		shown:    []string{"live"},
	})
	svc.HealthChecks = d.healthChecks(checks, at.in("health_check"), svc)
	return svc
}

func (m *Maglev) read(d *decoder, n ast.Node, at *place) {
	d.mapping(n, at, schema{fields: fields{
		"table_size": integer(&m.TableSize, 0, math.MaxInt),
		"hash":       word(&m.Hash, hashKeys),
	}})
}

func (s *SorryServer) read(d *decoder, n ast.Node, at *place) {
	d.mapping(n, at, schema{
		fields:   fields{"address": address(&s.Address), "mac": text(&s.MAC), "port": refuse(noPort)},
		required: []string{"address"},
	})
}

func (t *Timeouts) read(d *decoder, n ast.Node, at *place) {
	d.mapping(n, at, schema{fields: fields{
		"established":  duration(&t.Established),
		"syn_received": duration(&t.SynReceived),
		"fin_wait":     duration(&t.FinWait),
		"udp":          duration(&t.UDP),
	}})
}

func (d *decoder) realServers(n ast.Node, at *place) []RealServer {
	var servers []RealServer
	d.list(n, at, func(i int, item ast.Node) {
		servers = append(servers, d.realServer(item, at.item(i, realServerLabel(scalar(item, "address")))))
	})
	return servers
}

const noPort = "a real server has no port of its own: direct routing hands on the packet as it came, so the port " +
	"cannot be translated; delete it and let the real server listen on the service's port"

func (d *decoder) realServer(n ast.Node, at *place) RealServer {
	rs := RealServer{Weight: 1}
	known := fields{
		"address":         address(&rs.Address),
		"weight":          integer(&rs.Weight, 0, math.MaxUint16),
		"mac":             text(&rs.MAC),
		"upper_threshold": integer(&rs.UpperThreshold, 0, math.MaxUint32),
		"lower_threshold": integer(&rs.LowerThreshold, 0, math.MaxUint32),
		"port":            refuse(noPort),
	}
	d.mapping(n, at, schema{
		fields:   known,
		required: []string{"address"},
		planned:  plannedRealServerKeys,
		shown:    []string{"live"},
	})
	return rs
}

// scalar returns the text of a key in a mapping, "" if it is none.
func scalar(n ast.Node, key string) string {
	if s, ok := entry(n, key).(*ast.StringNode); ok {
		return s.Value
	}
	return ""
}

package store

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// want is what a mapping shall say under one key.
type want struct {
	key     string
	flow    string                  // the value in one line
	lines   func(indent int) string // the value as lines under the key; nil: in one line
	same    bool                    // the file says so already
	unsaid  bool                    // the default: need not be written
	removed bool                    // the key shall go
	within  []want                  // the value is a mapping: its entries
	items   []wantItem              // the value is a list: its items
}

// block is the value as it stands behind the colon of a key that is indented so far.
func (w want) block(indent int) string {
	if w.lines != nil {
		return w.lines(indent)
	}
	return " " + w.flow
}

// value wants a scalar; usual are the values that need not be written.
func value[T comparable](key string, old, now T, usual ...T) want {
	return want{key: key, flow: scalarText(now), same: old == now, unsaid: slices.Contains(usual, now)}
}

// optional wants a scalar that is not there when zero.
func optional[T comparable](key string, old, now T) want {
	var none T
	w := value(key, old, now, none)
	w.removed = now == none
	return w
}

// nested wants a mapping.
func nested(key string, same, unsaid bool, within, fresh []want) want {
	return want{key: key, flow: flowMapping(fresh), same: same, unsaid: unsaid, within: within}
}

// plainText needs no quotes in any YAML context and is no number, no boolean and no null.
var plainText = regexp.MustCompile(`^([a-zA-Z/][a-zA-Z0-9/._-]*|[0-9]{1,3}(\.[0-9]{1,3}){3})$`)

var reservedText = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}

func scalarText(v any) string {
	text := fmt.Sprint(v)
	if reflect.TypeOf(v).Kind() != reflect.String {
		return text
	}
	if plainText.MatchString(text) && !slices.Contains(reservedText, strings.ToLower(text)) {
		return text
	}
	return strconv.Quote(text)
}

// flowMapping writes what must be said as {key: value, key: value}.
func flowMapping(wants []want) string {
	var texts []string
	for _, w := range wants {
		if !w.unsaid {
			texts = append(texts, w.key+": "+w.flow)
		}
	}
	return "{" + strings.Join(texts, ", ") + "}"
}

// blockMapping writes the same as lines; the first follows a dash.
func blockMapping(wants []want, indent int) string {
	var texts []string
	for _, w := range wants {
		if !w.unsaid {
			texts = append(texts, w.key+":"+w.block(indent))
		}
	}
	return strings.Join(texts, "\n"+spaces(indent))
}

func servicesWant(old, now []Service) want {
	was := indexBy(old, func(s Service) string { return s.Name })
	w := want{key: "services", items: []wantItem{}}
	for _, svc := range now {
		fresh := serviceWants(Service{}, svc)
		item := wantItem{
			was:   take(was, svc.Name),
			flow:  flowMapping(fresh),
			block: func(indent int) string { return blockMapping(fresh, indent) },
		}
		if item.was >= 0 {
			item.within = serviceWants(old[item.was], svc)
		}
		w.items = append(w.items, item)
	}
	return w
}

func serviceWants(old, now Service) []want {
	usual := newService()
	return []want{
		value("name", old.Name, now.Name),
		value("vip", old.VIP, now.VIP),
		value("protocol", old.Protocol, now.Protocol),
		value("port", old.Port, now.Port),
		value("scheduler", old.Scheduler, now.Scheduler, usual.Scheduler),
		nested("maglev", old.Maglev == now.Maglev, now.Maglev == usual.Maglev,
			maglevWants(old.Maglev, now.Maglev), maglevWants(Maglev{}, now.Maglev)),
		value("slow_start", old.SlowStart, now.SlowStart, usual.SlowStart),
		value("gradual", old.Gradual, now.Gradual, usual.Gradual),
		value("persistence", old.Persistence, now.Persistence, usual.Persistence),
		value("persistence_prefix", old.PersistencePrefix, now.PersistencePrefix, usual.PersistencePrefix),
		value("one_packet", old.OnePacket, now.OnePacket, usual.OnePacket),
		value("strict_tcp", old.StrictTCP, now.StrictTCP, usual.StrictTCP),
		value("on_down", old.OnDown, now.OnDown, usual.OnDown),
		value("no_real_server", old.NoRealServer, now.NoRealServer, usual.NoRealServer),
		value("quorum", old.Quorum, now.Quorum, usual.Quorum),
		value("hysteresis", old.Hysteresis, now.Hysteresis, usual.Hysteresis),
		sorryServerWant(old.SorryServer, now.SorryServer),
		nested("outlier", old.Outlier == now.Outlier, now.Outlier == usual.Outlier,
			outlierWants(old.Outlier, now.Outlier), outlierWants(Outlier{}, now.Outlier)),
		nested("timeouts", old.Timeouts == now.Timeouts, now.Timeouts == usual.Timeouts,
			timeoutWants(old.Timeouts, now.Timeouts), timeoutWants(Timeouts{}, now.Timeouts)),
		checksWant(old, now),
		realServersWant(old.RealServers, now.RealServers),
	}
}

func maglevWants(old, now Maglev) []want {
	usual := newService().Maglev
	return []want{
		value("table_size", old.TableSize, now.TableSize, usual.TableSize),
		value("hash", old.Hash, now.Hash, usual.Hash),
	}
}

func sorryServerWant(old, now SorryServer) want {
	none := now == SorryServer{}
	w := nested("sorry_server", old == now, none, sorryServerWants(old, now), sorryServerWants(SorryServer{}, now))
	w.removed = none
	return w
}

func sorryServerWants(old, now SorryServer) []want {
	return []want{
		value("address", old.Address, now.Address),
		optional("mac", old.MAC, now.MAC),
	}
}

func outlierWants(old, now Outlier) []want {
	usual := newService().Outlier
	return []want{
		value("unanswered", old.Unanswered, now.Unanswered, usual.Unanswered),
		value("min_syns", old.MinSyns, now.MinSyns, usual.MinSyns),
		value("eject", old.Eject, now.Eject, usual.Eject),
		value("max_ejected", old.MaxEjected, now.MaxEjected, usual.MaxEjected),
	}
}

func timeoutWants(old, now Timeouts) []want {
	usual := newService().Timeouts
	return []want{
		value("established", old.Established, now.Established, usual.Established),
		value("syn_received", old.SynReceived, now.SynReceived, usual.SynReceived),
		value("fin_wait", old.FinWait, now.FinWait, usual.FinWait),
		value("udp", old.UDP, now.UDP, usual.UDP),
	}
}

// checksWant edits one check within; lists, and a check of another type, are written anew. A check that names no port
// says another thing once the service's port is another.
func checksWant(old, now Service) want {
	var fresh []string
	for _, check := range now.HealthChecks {
		fresh = append(fresh, flowMapping(checkWants(HealthCheck{}, check, now)))
	}
	w := want{
		key:    "health_check",
		flow:   strings.Join(fresh, ", "),
		same:   slices.Equal(old.HealthChecks, now.HealthChecks) && old.Protocol == now.Protocol && old.Port == now.Port,
		unsaid: slices.Equal(now.HealthChecks, defaultChecks(now)),
	}
	if len(fresh) != 1 {
		w.flow = "[" + w.flow + "]"
	}
	if len(old.HealthChecks) == 1 && len(now.HealthChecks) == 1 && old.HealthChecks[0].Type == now.HealthChecks[0].Type {
		w.within = checkWants(old.HealthChecks[0], now.HealthChecks[0], now)
	}
	return w
}

func realServersWant(old, now []RealServer) want {
	was := indexBy(old, func(rs RealServer) netip.Addr { return rs.Address })
	w := want{key: "real_servers", same: slices.Equal(old, now), unsaid: len(now) == 0, items: []wantItem{}}
	for _, rs := range now {
		fresh := flowMapping(realServerWants(RealServer{}, rs))
		item := wantItem{was: take(was, rs.Address), flow: fresh, block: func(int) string { return fresh }}
		if item.was >= 0 {
			item.within = realServerWants(old[item.was], rs, 1)
		}
		w.items = append(w.items, item)
	}
	w.flow = flowList(w.items)
	w.lines = func(indent int) string {
		if len(w.items) == 0 {
			return " []"
		}
		return blockList(w.items, indent)
	}
	return w
}

// realServerWants writes the weight of a new real server even if it is the usual one: it is what users turn.
func realServerWants(old, now RealServer, usualWeight ...uint16) []want {
	return []want{
		value("address", old.Address, now.Address),
		value("weight", old.Weight, now.Weight, usualWeight...),
		optional("mac", old.MAC, now.MAC),
		optional("upper_threshold", old.UpperThreshold, now.UpperThreshold),
		optional("lower_threshold", old.LowerThreshold, now.LowerThreshold),
	}
}

func indexBy[T any, K comparable](list []T, key func(T) K) map[K]int {
	index := make(map[K]int, len(list))
	for i, item := range list {
		index[key(item)] = i
	}
	return index
}

// take returns the index of a key once, -1 after that and for a key that is not there.
func take[K comparable](index map[K]int, key K) int {
	i, ok := index[key]
	if !ok {
		return -1
	}
	delete(index, key)
	return i
}

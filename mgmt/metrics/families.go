package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// description is what a reader must know of a metric. Names and labels are fixed: dashboards and alerts rely on them.
type description struct {
	desc   *prometheus.Desc
	name   string
	kind   string // counter | gauge | histogram
	labels []string
	help   string
}

// family is a metric whose value is found in a T.
type family[T any] struct {
	description
	value func(T) float64
}

var build = []family[*Reading]{
	gauge("turnout_build_info", "Always 1; the version of turnout is in the label.",
		func(*Reading) float64 { return 1 }, "version"),
}

var director = []family[*Reading]{
	gauge("turnout_config_generation", "Generation of the desired state in force.",
		func(r *Reading) float64 { return float64(r.Generation) }),
	gauge("turnout_config_last_apply_successful", "1 if the last desired state given was applied, 0 if it was refused.",
		func(r *Reading) float64 { return bit(r.LastApplySuccessful) }),
	counter("turnout_injected_packets_total", "Frames sent by the director's kernel through a port.",
		func(r *Reading) uint64 { return r.Injected }),
	counter("turnout_generated_packets_total", "Frames made by turnout itself: ARP for VIPs, echo replies, ICMP errors.",
		func(r *Reading) uint64 { return r.Generated }),
	counter("turnout_consumed_packets_total", "Frames that ended in turnout itself.",
		func(r *Reading) uint64 { return r.Consumed }),
	gauge("turnout_held_packets", "Frames kept for later.",
		func(r *Reading) float64 { return float64(r.Held) }),
	gauge("turnout_persistence_entries", "Clients whose real server is remembered for services with persistence.",
		func(r *Reading) float64 { return float64(r.Persistence.Entries) }),
	gauge("turnout_persistence_capacity", "Clients that there is room to remember.",
		func(r *Reading) float64 { return float64(r.Persistence.Capacity) }),
	counter("turnout_persistence_full_total", "Flows whose client could not be remembered because there was no room.",
		func(r *Reading) uint64 { return r.Persistence.Full }),
}

var role = []family[bool]{
	gauge("turnout_role", "1 for the role that the director has, 0 for the other.", bit, "role"),
}

var drops = []family[uint64]{
	counter("turnout_drops_total", "Frames dropped, by reason.", itself, "reason"),
}

var punted = []family[uint64]{
	counter("turnout_punted_packets_total", "Frames handed to the management side and the kernel, by kind.", itself, "kind"),
}

var happened = []family[uint64]{
	counter("turnout_events_total", "Events told at /v1/events, by kind.", itself, "kind"),
}

var vipConflicts = []family[Conflict]{
	gauge("turnout_vip_conflict", "1 for each machine that claims a VIP by ARP; real_server is the one that has this MAC, or empty.",
		present, "vip", "mac", "real_server"),
}

var serverConflicts = []family[Conflict]{
	gauge("turnout_real_server_conflict", "1 for each other machine that claims a real server's address by ARP.",
		present, "real_server", "mac"),
}

var services = []family[Service]{
	counter("turnout_service_packets_total", "Packets forwarded for the virtual service.",
		func(s Service) uint64 { return s.Packets }, "service"),
	counter("turnout_service_bytes_total", "Bytes of frames forwarded for the virtual service.",
		func(s Service) uint64 { return s.Bytes }, "service"),
	counter("turnout_service_connections_total", "Flows given a real server of the virtual service.",
		func(s Service) uint64 { return s.Connections }, "service"),
	counter("turnout_rescheduled_flows_total", "Flows given another real server because theirs was gone or down.",
		func(s Service) uint64 { return s.RescheduledFlows }, "service"),
	gauge("turnout_service_quorum", "1 if enough weight of real servers is up; 0: the sorry server gets new flows, if there is one.",
		func(s Service) float64 { return bit(s.Quorum) }, "service"),
}

var realServers = []family[RealServer]{
	counter("turnout_real_server_packets_total", "Packets forwarded to the real server.",
		func(r RealServer) uint64 { return r.Packets }, "service", "real_server"),
	counter("turnout_real_server_bytes_total", "Bytes of frames forwarded to the real server.",
		func(r RealServer) uint64 { return r.Bytes }, "service", "real_server"),
	counter("turnout_real_server_connections_total", "Flows given to the real server.",
		func(r RealServer) uint64 { return r.Connections }, "service", "real_server"),
	gauge("turnout_real_server_up", "1 if the real server passes its health checks.",
		func(r RealServer) float64 { return bit(r.Up) }, "service", "real_server"),
	gauge("turnout_real_server_weight", "Share of new flows; 0 is quiesced.",
		func(r RealServer) float64 { return float64(r.Weight) }, "service", "real_server"),
	gauge("turnout_real_server_share", "How much of the weight counts, 0 to 1: less than 1 during slow start.",
		func(r RealServer) float64 { return r.Share }, "service", "real_server"),
	gauge("turnout_real_server_draining", "1 while the real server is drained, or has weight 0.",
		func(r RealServer) float64 { return bit(r.Draining) }, "service", "real_server"),
	gauge("turnout_real_server_overloaded", "1 while the real server gets no new flows because of its upper threshold.",
		func(r RealServer) float64 { return bit(r.Overloaded) }, "service", "real_server"),
	gauge("turnout_real_server_ejected", "1 while the real server gets no new flows because it has left its clients' handshakes unanswered.",
		func(r RealServer) float64 { return bit(r.Ejected) }, "service", "real_server"),
	gauge("turnout_real_server_active_flows", "Flows in state ESTABLISHED, as ActiveConn of IPVS.",
		func(r RealServer) float64 { return float64(r.ActiveFlows) }, "service", "real_server"),
	gauge("turnout_real_server_inactive_flows", "Flows in any other state, as InActConn of IPVS.",
		func(r RealServer) float64 { return float64(r.InactiveFlows) }, "service", "real_server"),
	counter("turnout_real_server_syns_total", "TCP connections begun by clients.",
		func(r RealServer) uint64 { return r.Syns }, "service", "real_server"),
	counter("turnout_real_server_syn_retransmissions_total", "SYNs that clients said again, for want of an answer.",
		func(r RealServer) uint64 { return r.SynRetransmissions }, "service", "real_server"),
	counter("turnout_real_server_unanswered_syns_total", "TCP connections begun that ended, by time, a reset or a move, without the client's ACK.",
		func(r RealServer) uint64 { return r.UnansweredSyns }, "service", "real_server"),
	counter("turnout_real_server_resets_total", "TCP connections reset by clients.",
		func(r RealServer) uint64 { return r.Resets }, "service", "real_server"),
	counter("turnout_real_server_fins_total", "TCP connections closed by clients.",
		func(r RealServer) uint64 { return r.Fins }, "service", "real_server"),
}

var diagnoses = []family[bool]{
	gauge("turnout_real_server_diagnosis", "1 for the diagnosis that the way to the real server has now.", bit, "service", "real_server", "diagnosis"),
}

var healthChecks = []family[uint64]{
	counter("turnout_health_checks_total", "Health checks done; result is passed or failed.", itself, "service", "real_server", "result"),
}

var ports = []family[Port]{
	counter("turnout_port_rx_packets_total", "Frames received by the port.",
		func(p Port) uint64 { return p.RxPackets }, "port"),
	counter("turnout_port_rx_bytes_total", "Bytes received by the port.",
		func(p Port) uint64 { return p.RxBytes }, "port"),
	counter("turnout_port_tx_packets_total", "Frames sent by the port.",
		func(p Port) uint64 { return p.TxPackets }, "port"),
	counter("turnout_port_tx_bytes_total", "Bytes sent by the port.",
		func(p Port) uint64 { return p.TxBytes }, "port"),
	counter("turnout_port_rx_missed_total", "Frames dropped by the device because the rx ring was full.",
		func(p Port) uint64 { return p.RxMissed }, "port"),
	counter("turnout_port_rx_no_mbuf_total", "Frames dropped by the device because no mbuf was free.",
		func(p Port) uint64 { return p.RxNoMbuf }, "port"),
	counter("turnout_port_tx_dropped_total", "Frames dropped because the tx ring was full.",
		func(p Port) uint64 { return p.TxDropped }, "port"),
	gauge("turnout_port_link_up", "1 if the port's link is up.",
		func(p Port) float64 { return bit(p.LinkUp) }, "port"),
}

var polls = []family[uint64]{
	counter("turnout_lcore_polls_total", "Polls of the rx queues; result is packets or empty.", itself, "lcore", "result"),
}

var lcores = []family[Lcore]{
	gauge("turnout_lcore_busy_ratio", "Share of time that the lcore spends on frames, 0 to 1.",
		func(l Lcore) float64 { return l.Busy }, "lcore"),
	gauge("turnout_flow_table_entries", "Flows in the lcore's flow table.",
		func(l Lcore) float64 { return float64(l.Flows.Entries) }, "lcore"),
	gauge("turnout_flow_table_capacity", "Flows that the lcore's flow table promises to hold.",
		func(l Lcore) float64 { return float64(l.Flows.Capacity) }, "lcore"),
	counter("turnout_flow_table_inserts_total", "Flows entered into the flow table.",
		func(l Lcore) uint64 { return l.Flows.Inserts }, "lcore"),
	counter("turnout_flow_table_evictions_total", "Live flows removed to make room for others.",
		func(l Lcore) uint64 { return l.Flows.Evictions }, "lcore"),
	counter("turnout_flow_table_expirations_total", "Flows removed because they were silent for their time-out.",
		func(l Lcore) uint64 { return l.Flows.Expirations }, "lcore"),
	counter("turnout_flow_table_full_total", "Flows forwarded without an entry because there was no room.",
		func(l Lcore) uint64 { return l.Flows.Full }, "lcore"),
}

// Histograms are emitted as they stand in the Reading.
var (
	checkDuration = describe("turnout_health_check_duration_seconds", "histogram",
		"Time that a health check took.", []string{"service", "real_server"})
	handshakeTime = describe("turnout_real_server_handshake_seconds", "histogram",
		"Time from a client's SYN to its first ACK: the real server's answer, and both ways to the client.", []string{"service", "real_server"})
	burstSize = describe("turnout_lcore_burst_size", "histogram",
		"Frames that one poll brought.", []string{"lcore"})
	pollGap = describe("turnout_lcore_poll_gap_seconds", "histogram",
		"Time from one poll to the next.", []string{"lcore"})
)

func counter[T any](name, help string, value func(T) uint64, labels ...string) family[T] {
	return family[T]{describe(name, "counter", help, labels), func(t T) float64 { return float64(value(t)) }}
}

func gauge[T any](name, help string, value func(T) float64, labels ...string) family[T] {
	return family[T]{describe(name, "gauge", help, labels), value}
}

func describe(name, kind, help string, labels []string) description {
	return description{prometheus.NewDesc(name, help, labels, nil), name, kind, labels, help}
}

func itself(n uint64) uint64 { return n }

func present(Conflict) float64 { return 1 }

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// described lists every metric that is exposed under the options, in the order of docs/metrics.md.
func described(o Options) []description {
	all := slices.Concat(
		of(build), of(director), of(role), of(drops), of(punted), of(happened), of(vipConflicts), of(services), of(ports),
		of(polls), of(lcores), []description{burstSize, pollGap},
	)
	if o.RealServers {
		all = slices.Concat(all, of(serverConflicts), of(realServers), of(diagnoses), of(healthChecks), []description{handshakeTime, checkDuration})
	}
	return all
}

func of[T any](families []family[T]) []description {
	var all []description
	for _, f := range families {
		all = append(all, f.description)
	}
	return all
}

package lcore_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
)

const (
	up       = lcore.RealUp
	draining = lcore.RealDraining
	down     = lcore.RealDown
	gone     = lcore.RealGone
)

// town is the state that most stories begin with: services on two VIPs, with the real servers a to i.
func town(t testing.TB) *lcore.Spec {
	return spec(
		web(t, up, up, up),
		service(t, 1, vip, frame.ProtocolUDP, 53, 3, up, up),
		service(t, 2, otherVIP, frame.ProtocolTCP, 0, 5, up, up),
		service(t, 3, otherVIP, frame.ProtocolTCP, 8080, 7, up, up),
	)
}

// toVIP builds a frame from the client's address to another than the VIP.
func toVIP(t testing.TB, dst string, l gopacket.SerializableLayer) []byte {
	return build(t, "192.168.57.135", dst, l, []byte("hello"))
}

func echo(t testing.TB, dst string, kind uint8) []byte {
	return toVIP(t, dst, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, 0), Id: 7, Seq: 1})
}

func stories(t testing.TB) []story {
	return slices.Concat(forwardStories(t), rescheduleStories(t), handshakeStories(t), persistenceStories(t), loopStories(t), dropStories(t), puntStories(t))
}

// forwardStories tell of frames that reach a real server.
func forwardStories(t testing.TB) []story {
	syn, ack := tcp(t, 40000, 80, "S"), tcp(t, 40000, 80, "A")
	full := build(t, "192.168.57.135", "192.168.57.100", &layers.TCP{SrcPort: 40000, DstPort: 80, ACK: true}, bytes.Repeat([]byte("x"), 1460))
	bare := build(t, "192.168.57.135", "192.168.57.100", &layers.TCP{SrcPort: 40000, DstPort: 80, SYN: true}, nil)
	return []story{
		{name: "forward_tcp_connection", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: time.Millisecond, frame: ack, want: "forward a"},
			{after: time.Second, frame: tcp(t, 40000, 80, "FA"), want: "forward a"},
		}, tally: map[string]tally{"a": {connections: 1, inactive: 1}}},
		{name: "forward_tcp_established", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: time.Millisecond, frame: ack, want: "forward a"},
			{after: 899 * time.Second, frame: ack, want: "forward a"},
		}, tally: map[string]tally{"a": {connections: 1, active: 1}}},
		{name: "forward_udp", spec: town(t), steps: []step{
			{frame: udp(t, 5000, 53), want: "forward d"},
			{after: time.Minute, frame: udp(t, 5000, 53), want: "forward d"},
		}, tally: map[string]tally{"d": {connections: 1, inactive: 1}}},
		{name: "forward_every_port", spec: town(t), steps: []step{
			{frame: toVIP(t, "192.168.57.101", &layers.TCP{SrcPort: 40000, DstPort: 443, SYN: true}), want: "forward f"},
			{frame: toVIP(t, "192.168.57.101", &layers.TCP{SrcPort: 40000, DstPort: 444, SYN: true}), want: "forward f"},
			{frame: toVIP(t, "192.168.57.101", &layers.TCP{SrcPort: 40000, DstPort: 8080, SYN: true}), want: "forward h"},
		}, tally: map[string]tally{"f": {connections: 2, inactive: 2}, "h": {connections: 1, inactive: 1}}},
		{name: "forward_ip_options", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{frame: with(ack, options(1)), want: "forward a"},
			{frame: with(ack, options(10)), want: "forward a"},
		}, tally: map[string]tally{"a": {connections: 1, active: 1}}},
		{name: "forward_padded", spec: town(t), steps: []step{
			{frame: with(bare, pad(frame.EthernetMin-len(bare))), want: "forward a"},
		}},
		{name: "forward_maximum_size", spec: town(t), steps: []step{{frame: full, want: "forward a"}}},
		{name: "forward_unknown_rst", spec: town(t), steps: []step{
			{frame: tcp(t, 40000, 80, "R"), want: "forward a"}, // where its flow would be; it leaves no flow behind
		}, tally: map[string]tally{"a": {}}},
		{name: "forward_table_full", spec: town(t), flows: 1, before: fillTable(t), steps: []step{
			{frame: syn, want: "forward a"},
			{frame: ack, want: "forward a"},
			{after: time.Second, frame: ack, want: "forward a"},
		}},
	}
}

// fillTable fills the two buckets of a flow table for one flow with established flows.
func fillTable(t testing.TB) func(b *bench) {
	return func(b *bench) {
		for port := uint16(20000); b.ReadCounters().Flows.Full == 0; port++ {
			b.run(tcp(t, port, 80, "S"), tcp(t, port, 80, "A"))
		}
	}
}

// rescheduleStories tell of real servers that come and go.
func rescheduleStories(t testing.TB) []story {
	syn, ack := tcp(t, 40000, 80, "S"), tcp(t, 40000, 80, "A")
	return []story{
		{name: "draining_keeps_its_flows", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{frame: ack, want: "forward a"},
			{after: time.Second, spec: spec(web(t, draining, up, up)), frame: ack, want: "forward a"},
			{frame: syn, want: "forward a"}, // a SYN on an established flow opens nothing
		}, tally: map[string]tally{"a": {connections: 1, active: 1}}},
		{name: "draining_gets_no_new_flow", spec: spec(web(t, draining, up, up)), steps: []step{
			{frame: syn, want: "forward b"},
		}, tally: map[string]tally{"b": {connections: 1, inactive: 1}}},
		{name: "gone_is_rescheduled", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{frame: ack, want: "forward a"},
			{after: time.Second, spec: spec(web(t, gone, up, up)), frame: ack, want: "forward b"},
			{after: time.Second, spec: town(t), frame: ack, want: "forward b"}, // and stays when the first one is back
		}, tally: map[string]tally{"a": {connections: 1}, "b": {rescheduled: 1, active: 1}}},
		{name: "gone_udp_is_rescheduled", spec: town(t), steps: []step{
			{frame: udp(t, 5000, 53), want: "forward d"},
			{spec: spec(service(t, 1, vip, frame.ProtocolUDP, 53, 3, gone, up)), frame: udp(t, 5000, 53), want: "forward e"},
		}, tally: map[string]tally{"d": {connections: 1}, "e": {rescheduled: 1, inactive: 1}}},
		{name: "real_server_down", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{frame: ack, want: "forward a"},
			{after: time.Second, spec: spec(web(t, down, up, up)), frame: ack, want: "drop real_server_down"},
			{frame: tcp(t, 40000, 80, "FA"), want: "drop real_server_down"},
			{frame: tcp(t, 40001, 80, "S"), want: "forward c"},                 // new flows go elsewhere
			{after: time.Second, spec: town(t), frame: ack, want: "forward a"}, // and the old ones wait
			{after: 800 * time.Second, spec: spec(web(t, down, up, up)), frame: ack, want: "drop real_server_down"},
			{after: 101 * time.Second, frame: ack, want: "forward b"}, // what was dropped gave it no more time
		}, tally: map[string]tally{"a": {connections: 1}, "b": {connections: 1, active: 1}}},
		{name: "no_flow", spec: spec(strict(web(t, up, up, up))), steps: []step{
			{frame: ack, want: "drop no_flow"},
			{frame: tcp(t, 40000, 80, "SR"), want: "drop no_flow"},
			{frame: syn, want: "forward a"},
			{frame: ack, want: "forward a"},
			{spec: spec(strict(web(t, gone, up, up))), frame: ack, want: "forward b"}, // one that is known moves all the same
			{after: 901 * time.Second, frame: ack, want: "drop no_flow"},
		}, tally: map[string]tally{"a": {connections: 1}, "b": {rescheduled: 1}}},
		{name: "connection_under_way_goes_by_the_hash", spec: spec(inTurns(t, service(t, 0, vip, frame.ProtocolTCP, 80, 3, up, up))), steps: []step{
			{frame: tcp(t, 40000, 80, "A"), want: "forward e"},
			{frame: tcp(t, 40000, 80, "A"), want: "forward e"},
			{frame: tcp(t, 40001, 80, "S"), want: "forward d"}, // no turn was taken
			{frame: tcp(t, 40002, 80, "S"), want: "forward e"},
		}, tally: map[string]tally{"d": {connections: 1, inactive: 1}, "e": {connections: 2, active: 1, inactive: 1}}},
		{name: "one_packet_is_scheduled_by_itself", spec: spec(onePacket(t, service(t, 1, vip, frame.ProtocolUDP, 53, 3, up, up))), steps: []step{
			{frame: udp(t, 5000, 53), want: "forward d"},
			{frame: udp(t, 5000, 53), want: "forward e"},
			{frame: udp(t, 5000, 53), want: "forward d"},
		}, tally: map[string]tally{"d": {connections: 2}, "e": {connections: 1}}},
		{name: "syn_leaves_a_real_server_that_is_down", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{frame: ack, want: "forward a"},
			{frame: tcp(t, 40000, 80, "FA"), want: "forward a"},
			{spec: spec(web(t, down, up, up)), frame: ack, want: "drop real_server_down"},
			{frame: syn, want: "forward b"},
		}, tally: map[string]tally{"a": {connections: 1}, "b": {connections: 1, inactive: 1}}},
		{name: "syn_on_fin_wait_is_a_new_connection", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{frame: ack, want: "forward a"},
			{after: time.Second, frame: tcp(t, 40000, 80, "FA"), want: "forward a"},
			{after: time.Second, spec: spec(web(t, draining, up, up)), frame: ack, want: "forward a"},
			{after: time.Second, frame: syn, want: "forward b"},
		}, tally: map[string]tally{"a": {connections: 1}, "b": {connections: 1, inactive: 1}}},
		{name: "rst_on_fin_wait_opens_nothing", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{frame: ack, want: "forward a"},
			{frame: tcp(t, 40000, 80, "FA"), want: "forward a"},
			{spec: spec(web(t, draining, up, up)), frame: tcp(t, 40000, 80, "SR"), want: "forward a"},
		}, tally: map[string]tally{"a": {connections: 1, inactive: 1}}},
		{name: "expired_is_a_new_connection", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{after: 61 * time.Second, spec: spec(web(t, draining, up, up)), frame: ack, want: "forward b"},
		}, tally: map[string]tally{"a": {connections: 1}, "b": {connections: 1, active: 1}}},
	}
}

// persistent is a state of one service whose clients, of /31 networks, keep their real server for two minutes.
func persistent(t testing.TB, states ...lcore.RealState) *lcore.Spec {
	svc := web(t, states...)
	svc.Persistence, svc.PersistencePrefix = 120*flowtable.TicksPerSecond, 31
	svc.Table = holderOf(tableOf(t, "rr", serversOf(&svc)))
	return spec(svc)
}

// persistenceStories tell of clients that keep their real server.
func persistenceStories(t testing.TB) []story {
	syn := func(port uint16) []byte { return tcp(t, port, 80, "S") }
	neighbour := with(syn(40000), put(atSource+3, 134), checksum) // 192.168.57.134
	stranger := with(syn(40000), put(atSource+3, 136), checksum)
	return []story{
		{name: "persistence_keeps_the_client", spec: persistent(t, up, up, up), steps: []step{
			{frame: syn(40000), want: "forward a"},
			{frame: stranger, want: "forward b"},
			{frame: neighbour, want: "forward a"},
			{frame: syn(40001), want: "forward a"},
			{after: time.Second, frame: tcp(t, 40002, 80, "R"), want: "forward a"}, // leaves no flow behind
			{frame: with(stranger, put(atL4, 1, 2)), want: "forward b"},
		}, tally: map[string]tally{"a": {connections: 3, inactive: 3}, "b": {connections: 2, inactive: 2}}},
		{name: "persistence_outlives_the_flows", spec: persistent(t, up, up, up), steps: []step{
			{frame: syn(40000), want: "forward a"},
			{after: 61 * time.Second, frame: stranger, want: "forward b"},    // the first flow has ended
			{after: 115 * time.Second, frame: syn(40001), want: "forward a"}, // but the client is known still
			{after: 61 * time.Second, frame: stranger, want: "forward b"},
			{after: 125 * time.Second, frame: syn(40002), want: "forward c"}, // until two minutes after its last flow
		}},
		{name: "persistence_honours_a_drain", spec: persistent(t, up, up, up), steps: []step{
			{frame: syn(40000), want: "forward a"},
			{spec: persistent(t, draining, up, up), frame: syn(40000), want: "forward a"},
			{frame: syn(40001), want: "forward c"},
			{frame: syn(40002), want: "forward c"},                                  // the client has moved
			{spec: persistent(t, up, up, up), frame: syn(40003), want: "forward c"}, // and stays
		}},
		{name: "persistence_after_a_death", spec: persistent(t, up, up, up), steps: []step{
			{frame: syn(40000), want: "forward a"},
			{frame: syn(40001), want: "forward a"},
			{spec: persistent(t, gone, up, up), frame: syn(40000), want: "forward c"},
			{frame: syn(40001), want: "forward c"}, // all of the client's flows go to one real server
		}, tally: map[string]tally{"a": {connections: 2}, "c": {rescheduled: 2, inactive: 2}}},
		{name: "persistence_of_a_reopened_connection", spec: persistent(t, up, up, up), steps: []step{
			{frame: syn(40000), want: "forward a"},
			{frame: tcp(t, 40000, 80, "A"), want: "forward a"},
			{frame: tcp(t, 40000, 80, "FA"), want: "forward a"},
			{frame: stranger, want: "forward b"},
			{frame: syn(40000), want: "forward a"},
		}, tally: map[string]tally{"a": {connections: 2, inactive: 1}}},
		{name: "persistence_without_room", spec: persistent(t, up, up, up), before: fillTemplates, steps: []step{
			{frame: syn(40000), want: "forward a"}, // by the client's hash
			{frame: syn(40001), want: "forward a"},
			{frame: neighbour, want: "forward a"},
		}},
	}
}

// fillTemplates leaves no room for another client.
func fillTemplates(b *bench) {
	for n := range uint32(1000) {
		b.templates.Bind(flowtable.ClientOf(9, n, 32), flowtable.NoSlot, 0, 0)
	}
}

// loopStories tell of frames that would go round in circles, and of some that only look so.
func loopStories(t testing.TB) []story {
	syn := tcp(t, 40000, 80, "S")
	nobody := spec(web(t, up))
	nobody.Services[0].Reals[0].MAC = frame.MAC{}
	return []story{
		{name: "loop_own_mac", spec: town(t), steps: []step{
			{frame: with(syn, from(portMAC)), want: "drop loop"},
			{frame: with(arp(dip), from(portMAC)), want: "drop loop"},
		}},
		{name: "loop_peer_director", spec: town(t), steps: []step{
			{frame: with(syn, from(peerMAC)), want: "drop loop"},
			{frame: with(arp(dip), from(peerMAC)), want: "punt arp"}, // a peer may talk to us
		}},
		{name: "loop_real_server_of_the_vip", spec: town(t), steps: []step{
			{frame: with(syn, from(realMAC(0))), want: "drop loop"},
			{frame: with(syn, from(realMAC(3))), want: "drop loop"}, // of another service on the same VIP
		}},
		{name: "loop_back_to_the_sender", spec: nobody, steps: []step{
			{frame: with(syn, from(frame.MAC{})), want: "drop loop"},
		}},
		{name: "real_server_is_client_of_another_vip", spec: town(t), steps: []step{
			{frame: with(toVIP(t, "192.168.57.101", &layers.TCP{SrcPort: 40000, DstPort: 8080, SYN: true}), from(realMAC(0))), want: "forward h"},
		}},
	}
}

// dropStories tell of the other reasons.
func dropStories(t testing.TB) []story {
	syn := tcp(t, 40000, 80, "S")
	return []story{
		{name: "too_short", spec: town(t), steps: []step{
			{frame: with(syn, cut(0)), want: "drop too_short"},
			{frame: with(syn, cut(13)), want: "drop too_short"},
			{frame: with(syn, cut(33)), want: "drop too_short"},
			{frame: with(syn, cut(atL4+19), totalLen(39)), want: "drop too_short"},
			{frame: with(udp(t, 5000, 53), cut(atL4+7), totalLen(27)), want: "drop too_short"},
			{frame: with(echo(t, "192.168.57.100", 8), cut(atL4+7), totalLen(27)), want: "drop too_short"},
		}},
		{name: "not_for_us", spec: town(t), steps: []step{
			{frame: with(syn, to(clientMAC)), want: "drop not_for_us"},
			{frame: with(syn, to(frame.Broadcast)), want: "drop not_for_us"},
			{frame: with(syn, to(frame.MAC{1, 0, 0x5e, 0, 0, 1})), want: "drop not_for_us"},
		}},
		{name: "bad_version", spec: town(t), steps: []step{{frame: with(syn, put(atIP, 0x65)), want: "drop bad_version"}}},
		{name: "bad_header", spec: town(t), steps: []step{{frame: with(syn, put(atIP, 0x44)), want: "drop bad_header"}}},
		{name: "bad_length", spec: town(t), steps: []step{
			{frame: with(syn, totalLen(19)), want: "drop bad_length"},
			{frame: with(syn, totalLen(len(syn)-atIP+1)), want: "drop bad_length"},
			{frame: with(syn, put(atIP, 0x4f), totalLen(40)), want: "drop bad_length"},
		}},
		{name: "fragment", spec: town(t), steps: []step{
			{frame: with(syn, put(atFragment, 0x20, 0)), want: "drop fragment"},
			{frame: with(syn, put(atFragment, 0, 1)), want: "drop fragment"},
			{frame: with(syn, put(atFragment, 0x40, 0)), want: "forward a"}, // don't fragment
		}},
		{name: "protocol", spec: town(t), steps: []step{{frame: with(syn, put(atProtocol, 47)), want: "drop protocol"}}},
		{name: "icmp", spec: town(t), steps: []step{
			{frame: echo(t, "192.168.57.100", 3), want: "drop icmp"},
			{frame: echo(t, "192.168.57.100", 0), want: "drop icmp"},
			{frame: with(echo(t, "192.168.57.100", 0), from(realMAC(0))), want: "punt reply"}, // the director asked in the VIP's name
			{frame: with(echo(t, "192.168.57.100", 3), from(realMAC(0))), want: "drop icmp"},
		}},
		{name: "no_service", spec: town(t), steps: []step{
			{frame: tcp(t, 40000, 81, "S"), want: "drop no_service"},
			{frame: udp(t, 5000, 80), want: "drop no_service"},
		}},
		{name: "no_real_server", spec: town(t), steps: []step{
			{frame: syn, want: "forward a"},
			{spec: spec(web(t, gone, gone, draining)), frame: syn, want: "drop no_real_server"},
			{frame: tcp(t, 40001, 80, "S"), want: "drop no_real_server"},
			{spec: town(t), frame: syn, want: "forward a"},
		}},
		{name: "no_real_server_to_be_told", spec: unreachable(web(t, gone, gone)), before: punts(syn, 1000), steps: []step{
			{frame: syn, want: "drop no_real_server"},
			{after: time.Second / 16, frame: syn, want: "punt unreachable"},
		}},
		{name: "standby", spec: standby(town(t)), steps: []step{
			{frame: syn, want: "drop standby"},
			{frame: echo(t, "192.168.57.100", 8), want: "drop standby"},
			{frame: echo(t, "192.168.57.120", 8), want: "punt dip"},
			{spec: town(t), frame: syn, want: "forward a"},
		}},
		{name: "punt_limited", spec: town(t), before: punts(echo(t, "192.168.57.100", 8), 1000), steps: []step{
			{frame: echo(t, "192.168.57.100", 8), want: "drop punt_limited"},
			{frame: echo(t, "192.168.57.120", 8), want: "punt dip"}, // a kind's limit is its own
			{after: time.Second / 16, frame: echo(t, "192.168.57.100", 8), want: "punt echo"},
		}},
		{name: "punt_full", spec: town(t), before: fillRing, steps: []step{
			{frame: echo(t, "192.168.57.120", 8), want: "drop punt_full"},
		}},
	}
}

// punts has a frame punted n times, as fast as it goes.
func punts(f []byte, n int) func(b *bench) {
	return func(b *bench) {
		step := b.queue.Step
		b.queue.Step = 0
		b.run(slices.Repeat([][]byte{f}, n)...)
		b.queue.Step = step
		b.emptyRing()
	}
}

func (b *bench) emptyRing() {
	buf := make([]byte, lcore.RingFrameMax)
	for b.punts.Len() > 0 {
		b.punts.Take(buf)
	}
}

func fillRing(b *bench) {
	for b.punts.Put(uint8(lcore.PuntOther), make([]byte, 60)) {
	}
}

// puntStories tell of frames for the management and the kernel.
func puntStories(t testing.TB) []story {
	syn := tcp(t, 40000, 80, "S")
	toDIP := toVIP(t, "192.168.57.120", &layers.TCP{SrcPort: 22, DstPort: 50000, ACK: true})
	multicast := with(toVIP(t, "224.0.0.18", &layers.UDP{}), to(frame.MAC{1, 0, 0x5e, 0, 0, 18}))
	return []story{
		{name: "punt_arp", spec: town(t), steps: []step{
			{frame: arp(vip), want: "punt arp"},
			{frame: arp(dip), want: "punt arp"},
			{frame: with(arp(dip), to(portMAC)), want: "punt arp"},
		}},
		{name: "punt_echo", spec: town(t), steps: []step{{frame: echo(t, "192.168.57.100", 8), want: "punt echo"}}},
		{name: "punt_reply", spec: town(t), steps: []step{
			{frame: with(toDIP, from(realMAC(0))), want: "punt reply"},
		}},
		{name: "punt_vrrp", spec: town(t), before: punts(multicast, 10_000), steps: []step{ // a flood of others is beside it
			{frame: multicast, want: "drop punt_limited"},
			{frame: with(multicast, put(atProtocol, frame.ProtocolVRRP)), want: "punt vrrp"},
			{frame: with(toDIP, put(atProtocol, frame.ProtocolVRRP)), want: "punt vrrp"}, // unicast_peer
			{frame: with(toVIP(t, "192.168.57.100", &layers.UDP{}), put(atProtocol, frame.ProtocolVRRP)), want: "drop protocol"},
		}},
		{name: "punt_dip", spec: town(t), steps: []step{
			{frame: toDIP, want: "punt dip"},
			{frame: with(toDIP, put(atFragment, 0x20, 0)), want: "punt dip"},
			{frame: echo(t, "192.168.57.120", 0), want: "punt dip"},
		}},
		{name: "punt_unreachable", spec: unreachable(web(t, down, draining)), steps: []step{
			{frame: syn, want: "punt unreachable"},
			{frame: tcp(t, 40001, 80, "A"), want: "punt unreachable"},
		}, tally: map[string]tally{"a": {}, "b": {}}},
		{name: "punt_other", spec: town(t), steps: []step{
			{frame: multicast, want: "punt other"},
			{frame: toVIP(t, "192.168.57.1", &layers.UDP{}), want: "punt other"},
			{frame: with(toDIP, put(atType, 0x86, 0xdd)), want: "punt other"}, // IPv6
			{frame: with(toDIP, put(atType, 0x81, 0x00)), want: "punt other"}, // a VLAN tag
			{frame: with(toDIP, destination(0)), want: "punt other"},
		}},
	}
}

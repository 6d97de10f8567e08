package health_test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"

	"turnout/mgmt/store"
)

// serveUDP answers each packet on server with what f makes of it, nil for nothing.
func serveUDP(t *testing.T, f func(packet []byte, from netip.AddrPort) []byte) uint16 {
	t.Helper()
	conn := must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server, 0))))(t)
	t.Cleanup(func() { conn.Close() })
	go func() {
		packet := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}
			if answer := f(packet[:n], from); answer != nil {
				conn.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	return uint16(conn.LocalAddr().(*net.UDPAddr).Port)
}

func TestUDP(t *testing.T) {
	echo := func(packet []byte, _ netip.AddrPort) []byte { return packet }
	silent := func([]byte, netip.AddrPort) []byte { return nil }
	for _, tt := range []struct {
		name   string
		server func([]byte, netip.AddrPort) []byte // nil: nobody listens
		reply  bool
		want   string
	}{
		{"answers", echo, false, ""},
		{"answers, and has to", echo, true, ""},
		{"silent", silent, false, ""},
		{"silent, but has to answer", silent, true, "timed out after 300ms"},
		{"closed", nil, false, "connection refused"},
		{"closed, but has to answer", nil, true, "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.server
			if f == nil {
				f = silent
			}
			port := serveUDP(t, f)
			if tt.server == nil {
				port = closedUDP(t)
			}
			c := quick(store.CheckUDP, port)
			c.Send, c.Reply = "ping", tt.reply
			s := first(t, source, server, c)
			equal(t, "error", s.LastError, tt.want)
			if waited := s.Latency >= 300*time.Millisecond; waited != (tt.name == "silent" || tt.want == "timed out after 300ms") {
				t.Errorf("latency %v", s.Latency)
			}
		})
	}
}

// closedUDP is a port on which nobody listens.
func closedUDP(t *testing.T) uint16 {
	t.Helper()
	conn := must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server, 0))))(t)
	defer conn.Close()
	return uint16(conn.LocalAddr().(*net.UDPAddr).Port)
}

func TestUDPPayload(t *testing.T) {
	for _, tt := range []struct {
		name, text, hex string
		want            []byte
	}{
		{"text", "größer\n", "", []byte("größer\n")},
		{"bytes", "", "1b00fF", []byte{0x1b, 0, 0xff}},
		{"empty", "", "", []byte{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got, peer atomic.Value
			port := serveUDP(t, func(packet []byte, from netip.AddrPort) []byte {
				got.Store(bytes.Clone(packet))
				peer.Store(from.Addr())
				return []byte("pong")
			})
			c := quick(store.CheckUDP, port)
			c.Send, c.SendHex, c.Reply = tt.text, tt.hex, true
			equal(t, "error", first(t, source, server, c).LastError, "")
			if !bytes.Equal(got.Load().([]byte), tt.want) {
				t.Errorf("the server got %q", got.Load())
			}
			equal(t, "peer", peer.Load().(netip.Addr).String(), source.String())
		})
	}
}

// serveDNS is a DNS server on loopback that answers by h.
func serveDNS(t *testing.T, h dns.HandlerFunc) uint16 {
	t.Helper()
	conn := must(net.ListenPacket("udp", netip.AddrPortFrom(server, 0).String()))(t)
	started := make(chan struct{})
	s := &dns.Server{PacketConn: conn, Handler: h, NotifyStartedFunc: func() { close(started) }}
	go s.ActivateAndServe()
	<-started
	t.Cleanup(func() { s.Shutdown() })
	return uint16(conn.LocalAddr().(*net.UDPAddr).Port)
}

// rcode answers with that code.
func rcode(code int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, query *dns.Msg) { w.WriteMsg(new(dns.Msg).SetRcode(query, code)) }
}

func TestDNS(t *testing.T) {
	address := must(dns.NewRR("www.example.org. 60 IN A 192.0.2.1"))(t)
	zone := func(w dns.ResponseWriter, query *dns.Msg) {
		answer := new(dns.Msg).SetReply(query)
		q := query.Question[0]
		if q.Name != "www.example.org." || q.Qclass != dns.ClassINET {
			answer.Rcode = dns.RcodeNameError
		} else if q.Qtype == dns.TypeA {
			answer.Answer = append(answer.Answer, address)
		} else {
			answer.Rcode = dns.RcodeRefused
		}
		w.WriteMsg(answer)
	}
	raw := func(change func(packed []byte) []byte) dns.HandlerFunc {
		return func(w dns.ResponseWriter, query *dns.Msg) {
			packed, _ := new(dns.Msg).SetReply(query).Pack()
			w.Write(change(packed))
		}
	}
	for _, tt := range []struct {
		name             string
		server           dns.HandlerFunc
		query, typ, code string
		want             string
	}{
		{"known", zone, "www.example.org", "A", "NOERROR", ""},
		{"known, with a dot", zone, "www.example.org.", "A", "NOERROR", ""},
		{"of another type", zone, "www.example.org", "SOA", "NOERROR", "answer REFUSED, want NOERROR"},
		{"unknown", zone, "ftp.example.org", "A", "NOERROR", "answer NXDOMAIN, want NOERROR"},
		{"unknown, as it should be", zone, "ftp.example.org", "A", "NXDOMAIN", ""},
		{"known, as it should not be", zone, "www.example.org", "A", "NXDOMAIN", "answer NOERROR, want NXDOMAIN"},
		{"failing", rcode(dns.RcodeServerFailure), "www.example.org", "A", "NOERROR", "answer SERVFAIL, want NOERROR"},
		{"silent", func(dns.ResponseWriter, *dns.Msg) {}, "www.example.org", "A", "NOERROR", "timed out after 300ms"},
		{"answer to another query", raw(func(p []byte) []byte { p[0] ^= 1; return p }), "www.example.org", "A", "NOERROR", "timed out after 300ms"},
		{"the query come back", raw(func(p []byte) []byte { p[2] &^= 0x80; return p }), "www.example.org", "A", "NOERROR", "timed out after 300ms"},
		{"a few bytes", raw(func(p []byte) []byte { return p[:5] }), "www.example.org", "A", "NOERROR", "timed out after 300ms"},
		{"cut short", raw(func(p []byte) []byte { return p[:20] }), "www.example.org", "A", "NOERROR", "malformed answer: bad question name: dns: buffer size too small"},
		{"a stray packet first", func(w dns.ResponseWriter, query *dns.Msg) {
			w.Write([]byte("stray"))
			rcode(dns.RcodeSuccess)(w, query)
		}, "www.example.org", "A", "NOERROR", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := quick(store.CheckDNS, serveDNS(t, tt.server))
			c.Query, c.QueryType, c.Rcode = tt.query, tt.typ, tt.code
			equal(t, "error", first(t, source, server, c).LastError, tt.want)
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		c := quick(store.CheckDNS, closedUDP(t))
		c.Query, c.QueryType, c.Rcode = "www.example.org", "A", "NOERROR"
		equal(t, "error", first(t, source, server, c).LastError, "connection refused")
	})
}

func ping() store.HealthCheck { return quick(store.CheckICMP, 0) }

func TestICMP(t *testing.T) {
	needsRawSocket(t)
	s := first(t, source, server, ping())
	if !s.Up || s.LastError != "" || s.Latency > 100*time.Millisecond {
		t.Errorf("%+v", s)
	}
}

func needsRawSocket(t *testing.T) {
	t.Helper()
	conn, err := net.ListenPacket("ip4:icmp", source.String())
	switch {
	case err == nil:
		conn.Close()
	case os.Getenv("CI") == "true":
		t.Fatal("needs CAP_NET_RAW: ", err)
	default:
		t.Skip("needs CAP_NET_RAW: ", err)
	}
}

// A real server in a namespace of its own sees echo requests from the DIP, and is down once it does not answer them.
func TestICMPInNamespace(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dip0, _ := wire(t)
	equal(t, "error", first(t, dip, rs, ping()).LastError, "")

	silent := netip.MustParseAddr("192.168.57.199")
	check(t, netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: dip0.Attrs().Index, IP: silent.AsSlice(), State: netlink.NUD_PERMANENT,
		HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 1, 0x99},
	}))
	equal(t, "no answer", first(t, dip, silent, ping()).LastError, "timed out after 300ms")
	sysctl(t, "neigh/dip0/retrans_time_ms", "20")
	equal(t, "no MAC", first(t, dip, netip.MustParseAddr("192.168.57.198"), ping()).LastError,
		"no route to host: it does not answer ARP, or a router refuses")
	udp := quick(store.CheckUDP, 53)
	equal(t, "no MAC for udp", first(t, dip, netip.MustParseAddr("192.168.57.198"), udp).LastError,
		"no route to host: it does not answer ARP, or a router refuses")
	equal(t, "closed port in the namespace", first(t, dip, rs, udp).LastError, "connection refused")

	check(t, netlink.AddrDel(dip0, address(dip)))
	const absent = "no interface that is up has the address 192.168.57.120: is kernel_interface up, with the DIP on it?"
	equal(t, "no DIP", first(t, dip, rs, ping()).LastError, absent)
	equal(t, "no DIP for udp", first(t, dip, rs, udp).LastError, absent)
}

// An echo request comes from the DIP, and its own coming back is no reply.
func TestICMPSource(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	check(t, netlink.LinkSetUp(must(netlink.LinkByName("lo"))(t)))
	sysctl(t, "icmp_echo_ignore_all", "1")
	conn := must(net.ListenPacket("ip4:icmp", server.String()))(t)
	defer conn.Close()
	type request struct {
		from string
		data []byte
	}
	requests := make(chan request, 100)
	go func() {
		packet := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			conn.WriteTo(packet[:n], from) // still a request
			other := bytes.Clone(packet[:n])
			other[0], other[n-1] = 0, other[n-1]^1 // a reply to something else
			conn.WriteTo(other, from)
			requests <- request{from.String(), bytes.Clone(packet[:n])}
		}
	}()
	equal(t, "error", first(t, source, server, ping()).LastError, "timed out after 300ms")
	one := <-requests
	equal(t, "peer", one.from, source.String())
	if one.data[0] != 8 || one.data[1] != 0 {
		t.Errorf("ICMP type and code % x, want an echo request", one.data[:2])
	}
}

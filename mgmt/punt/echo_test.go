package punt_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"turnout/lcore/frame"
	"turnout/mgmt/punt"
)

// Positions in a frame without IP options.
const (
	atIP   = frame.EthernetLen
	atICMP = atIP + frame.IPv4Len
)

func echoRequest(t testing.TB, src frame.MAC, from, to netip.Addr) []byte {
	return build(t, ethernet(src, portMAC, layers.EthernetTypeIPv4), ipv4(from, to, layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 1, Seq: 2}, gopacket.Payload("a payload that needs no padding"))
}

func TestWhoGetsNoEchoReply(t *testing.T) {
	tests := []struct {
		name string
		edit func(b []byte) []byte
	}{
		{"not to a VIP", func([]byte) []byte { return echoRequest(t, clientMAC, client, dip.Addr()) }},
		{"from a VIP", func([]byte) []byte { return echoRequest(t, clientMAC, vip, vip) }},
		{"from a group MAC", func([]byte) []byte { return echoRequest(t, frame.Broadcast, client, vip) }},
		{"from a multicast address", func([]byte) []byte { return echoRequest(t, clientMAC, netip.MustParseAddr("224.0.0.1"), vip) }},
		{"from broadcast", func([]byte) []byte { return echoRequest(t, clientMAC, netip.MustParseAddr("255.255.255.255"), vip) }},
		{"from nobody", func([]byte) []byte { return echoRequest(t, clientMAC, netip.IPv4Unspecified(), vip) }},
		{"from loopback", func([]byte) []byte { return echoRequest(t, clientMAC, netip.MustParseAddr("127.0.0.1"), vip) }},
		{"an echo reply", func(b []byte) []byte { b[atICMP] = 0; return b }},
		{"code not 0", func(b []byte) []byte { b[atICMP+1] = 1; return b }},
		{"a fragment", func(b []byte) []byte { b[atIP+6] = 0x20; return b }},
		{"UDP", func(b []byte) []byte { b[atIP+9] = 17; return b }},
		{"version 6", func(b []byte) []byte { b[atIP] = 0x65; return b }},
		{"IP options", func(b []byte) []byte { b[atIP] = 0x46; return b }},
		{"header length under 20", func(b []byte) []byte { b[atIP] = 0x44; return b }},
		{"total length beyond the frame", func(b []byte) []byte { b[atIP+3]++; return b }},
		{"total length within the ICMP header", func(b []byte) []byte { b[atIP+3] = 27; return b }},
		{"another EtherType", func(b []byte) []byte { b[12] = 0x86; return b }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := test.edit(echoRequest(t, clientMAC, client, vip))
			if reply := punt.EchoReply(b, portMAC, vip); reply != nil {
				t.Errorf("answered by %x", reply)
			}
		})
	}
	t.Run("cut short", func(t *testing.T) {
		b := echoRequest(t, clientMAC, client, vip)
		for n := range b {
			if reply := punt.EchoReply(b[:n:n], portMAC, vip); reply != nil {
				t.Errorf("%d bytes are answered by %x", n, reply)
			}
		}
	})
}

func FuzzEchoReply(f *testing.F) {
	f.Add(echoRequest(f, clientMAC, client, vip))
	f.Add(append(echoRequest(f, clientMAC, client, vip), 0, 0, 0, 0))
	f.Add(echoRequest(f, clientMAC, client, dip.Addr()))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		request := slices.Clone(b)
		reply := punt.EchoReply(b, portMAC, vip)
		if reply == nil {
			if !slices.Equal(b, request) {
				t.Fatal("a frame that is not answered was changed")
			}
			return
		}
		request = request[:len(reply)]
		want := slices.Clone(request)
		copy(want, request[6:12])
		copy(want[6:], portMAC[:])
		copy(want[26:30], request[30:34])
		copy(want[30:34], request[26:30])
		want[22], want[atICMP] = 64, 0
		copy(want[24:26], reply[24:26])
		copy(want[atICMP+2:atICMP+4], reply[atICMP+2:])
		if !slices.Equal(reply, want) {
			t.Errorf("request %x\n   reply %x\n    want %x", request, reply, want)
		}
		if checksumRight(request[atIP:atICMP]) != checksumRight(reply[atIP:atICMP]) {
			t.Error("the IP checksum's truth changed")
		}
		if checksumRight(request[atICMP:]) != checksumRight(reply[atICMP:]) {
			t.Error("the ICMP checksum's truth changed")
		}
	})
}

func checksumRight(b []byte) bool {
	sum := uint32(0)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return sum == 0xffff
}

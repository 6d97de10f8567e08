package health

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"math/rand/v2"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

// nonceLen makes an echo reply to another request as good as impossible, in bytes.
const nonceLen = 16

// protocolICMP is ICMP's number among IP protocols.
const protocolICMP = 1

// icmp passes on the reply to an echo request (RFC 792). The socket is raw, since ping sockets depend on
// net.ipv4.ping_group_range; it is connected, so the kernel hands it what the real server sends, to any process.
func (m *Monitor) icmp(ctx context.Context, k checkKey) error {
	conn, err := m.open(ctx, "ip4:icmp", k.address.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	echo := &icmp.Echo{ID: int(rand.Uint32N(1 << 16)), Data: make([]byte, nonceLen)}
	crand.Read(echo.Data)
	request, err := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: echo}).Marshal(nil)
	if err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	packet := make([]byte, 1500)
	for {
		n, err := conn.Read(packet)
		if err != nil {
			return err
		}
		if isReply(packet[:n], echo) {
			return nil
		}
	}
}

// isReply says whether an IP packet answers echo.
func isReply(packet []byte, echo *icmp.Echo) bool {
	header, err := ipv4.ParseHeader(packet)
	if err != nil {
		return false
	}
	got, err := icmp.ParseMessage(protocolICMP, packet[header.Len:])
	if err != nil || got.Type != ipv4.ICMPTypeEchoReply {
		return false
	}
	body, ok := got.Body.(*icmp.Echo)
	return ok && body.ID == echo.ID && bytes.Equal(body.Data, echo.Data)
}

package health

import (
	"context"
	"encoding/hex"
	"errors"
	"os"

	"turnout/mgmt/store"
)

// udp sends one packet. Any answer passes; an ICMP error fails; silence passes unless a reply is asked for, since many
// services do not answer what they do not know.
func (m *Monitor) udp(ctx context.Context, k checkKey) error {
	payload, err := payload(k.HealthCheck)
	if err != nil {
		return err
	}
	conn, err := m.open(ctx, "udp", k.socket())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(payload); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) && !k.Reply {
		return nil
	}
	return err
}

func payload(c store.HealthCheck) ([]byte, error) {
	if c.SendHex != "" {
		return hex.DecodeString(c.SendHex)
	}
	return []byte(c.Send), nil
}

// Datagram is what a check of type udp or dns sends, always the same for the same check; empty for other types.
func Datagram(c store.HealthCheck) string {
	var packet []byte
	switch c.Type {
	case store.CheckUDP:
		packet, _ = payload(c)
	case store.CheckDNS:
		query := question(c)
		query.Id = 1 // answers are known by the port that they come to
		packet, _ = query.Pack()
	}
	return string(packet)
}

package health

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
)

// udp sends one packet. Any answer passes; an ICMP error fails; silence passes unless a reply is asked for, since many
// services do not answer what they do not know.
func (m *Monitor) udp(ctx context.Context, k checkKey) error {
	payload, err := k.payload()
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

func (k checkKey) payload() ([]byte, error) {
	if k.SendHex != "" {
		return hex.DecodeString(k.SendHex)
	}
	return []byte(k.Send), nil
}

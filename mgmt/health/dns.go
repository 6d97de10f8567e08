package health

import (
	"context"
	"fmt"

	"github.com/miekg/dns"

	"turnout/mgmt/store"
)

// maxAnswer holds any answer to a query that announces no larger one, in bytes (RFC 1035 section 4.2.1: 512), and those
// of servers that send more all the same.
const maxAnswer = 4096

// dns passes if the answer to the query, by UDP, has the expected rcode. What is no answer to it is passed over.
func (m *Monitor) dns(ctx context.Context, k checkKey) error {
	query := question(k.HealthCheck)
	packet, err := query.Pack()
	if err != nil {
		return err
	}
	conn, err := m.open(ctx, "udp", k.socket())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(packet); err != nil {
		return err
	}
	for packet := make([]byte, maxAnswer); ; {
		n, err := conn.Read(packet)
		if err != nil {
			return err
		}
		if isAnswer, err := judgeAnswer(packet[:n], query.Id, k.Rcode); isAnswer {
			return err
		}
	}
}

func question(c store.HealthCheck) *dns.Msg {
	return new(dns.Msg).SetQuestion(dns.Fqdn(c.Query), dns.StringToType[c.QueryType])
}

// judgeAnswer says whether packet is the answer to query id, and what is wrong with it.
func judgeAnswer(packet []byte, id uint16, rcode string) (isAnswer bool, err error) {
	var answer dns.Msg
	malformed := answer.Unpack(packet) // the header is read first, and kept
	if answer.Id != id || !answer.Response {
		return false, nil
	}
	if malformed != nil {
		return true, fmt.Errorf("malformed answer: %w", malformed)
	}
	if got := dns.RcodeToString[answer.Rcode]; got != rcode {
		return true, fmt.Errorf("answer %s, want %s", got, rcode)
	}
	return true, nil
}

package api

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"

	"turnout/mgmt/store"
)

// ExplainQuery is a packet of a client's.
type ExplainQuery struct {
	Protocol    store.Protocol
	Source      netip.AddrPort
	Destination netip.AddrPort
	Packet      string // syn, ack, fin or rst; empty: an ack of a flow that is known, else a syn
}

// Explanation is what would become of a packet, and why.
type Explanation struct {
	Verdict    string     `json:"verdict" enum:"forward,drop,punt"`
	Reason     string     `json:"reason,omitempty" doc:"why it would be dropped, as in turnout_drops_total"`
	Kind       string     `json:"kind,omitempty" doc:"as what it would be punted, as in turnout_punted_packets_total"`
	Packet     string     `json:"packet" enum:"syn,ack,fin,rst,datagram" doc:"the packet that was looked at"`
	Lcore      uint       `json:"lcore" doc:"the lcore that has the flow; if none has, the one that its packets come to, where the port tells"`
	Service    string     `json:"service,omitempty"`
	Scheduler  string     `json:"scheduler,omitempty"`
	RealServer netip.Addr `json:"real_server,omitzero"`
	MAC        string     `json:"mac,omitempty" doc:"destination of the frame on its way to the real server"`
	State      string     `json:"state,omitempty" doc:"of the real server: up | draining | overloaded | ejected | down | no_mac | standby"`
	Rule       string     `json:"rule" enum:"none,flow_table,scheduled,reopened,rescheduled,persistence,hash" doc:"what decided on the real server"`
	Hash       string     `json:"packet_hash,omitempty" doc:"the packet's keyed hash, hexadecimal"`
	Position   *int       `json:"position,omitempty" doc:"of the hash in the service's table; missing where new flows are scheduled in turns"`
	Positions  int        `json:"positions,omitempty" doc:"of the table"`
	Flow       *Flow      `json:"flow,omitempty" doc:"the flow's entry as it is"`
	NextState  string     `json:"next_state,omitempty" doc:"of the flow's entry after the packet; missing if it would not be remembered"`
	Why        []string   `json:"why" doc:"the steps of the decision, a sentence each"`
}

func registerExplain(api huma.API, director Director) {
	get(api, "explain-packet", "/v1/explain", "What would become of a packet, and why; decided by the forwarding code, and nothing is changed",
		reads{director}.explain, http.StatusServiceUnavailable)
}

type explainInput struct {
	Protocol store.Protocol `query:"protocol" required:"true" enum:"tcp,udp"`
	Source   netip.AddrPort `query:"src" required:"true" doc:"client address and L4 port" example:"192.0.2.7:40000"`
	To       netip.AddrPort `query:"dst" required:"true" doc:"VIP and L4 port" example:"192.168.57.100:80"`
	Packet   string         `query:"packet" enum:"syn,ack,fin,rst" doc:"kind of TCP segment; an ack of a flow that is known, else a syn, unless given"`
}

func (c reads) explain(ctx context.Context, in *explainInput) (*answer[Explanation], error) {
	for name, address := range map[string]netip.AddrPort{"src": in.Source, "dst": in.To} {
		if !address.Addr().Unmap().Is4() {
			return nil, huma.Error422UnprocessableEntity("refused", &huma.ErrorDetail{
				Location: "query." + name, Value: address.String(), Message: "want an IPv4 address and an L4 port, such as 192.0.2.7:40000",
			})
		}
	}
	x, err := c.director.Explain(ctx, ExplainQuery{in.Protocol, in.Source, in.To, in.Packet})
	if err != nil {
		return nil, huma.Error503ServiceUnavailable("the lcores did not answer: " + err.Error())
	}
	return &answer[Explanation]{Body: x}, nil
}

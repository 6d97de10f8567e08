package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"turnout/mgmt/api"
)

// newExplainCommand asks what would become of a packet.
func newExplainCommand() *cobra.Command {
	query := map[string]*string{}
	values := func() url.Values {
		v := url.Values{}
		for name, value := range query {
			if *value != "" {
				v.Set(name, *value)
			}
		}
		return v
	}
	cmd := show[api.Explanation]{
		use: "explain --src ADDRESS:PORT --dst VIP:PORT", short: "Tell what would become of a packet, and why; nothing is changed",
		example: "turnout explain --src 192.0.2.7:40000 --dst 192.168.57.100:80\nturnout explain --protocol udp --src 192.0.2.7:5000 --dst 192.168.57.100:53",
		path:    func() string { return "/v1/explain?" + values().Encode() },
		table:   explanationTable,
	}.command()
	query["protocol"] = cmd.Flags().String("protocol", "tcp", "tcp or udp")
	query["src"] = cmd.Flags().String("src", "", "client address and L4 port")
	query["dst"] = cmd.Flags().String("dst", "", "VIP and L4 port")
	query["packet"] = cmd.Flags().String("packet", "", "syn, ack, fin or rst; unless given an ack of a flow that is known, else a syn")
	completes(cmd, "protocol", "tcp", "udp")
	completes(cmd, "packet", "syn", "ack", "fin", "rst")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *query["src"] == "" || *query["dst"] == "" {
			return usageError{errors.New("explain: --src and --dst are needed, each an address and an L4 port, such as 192.0.2.7:40000")}
		}
		return nil
	}
	return cmd
}

func explanationTable(t *table, x api.Explanation) {
	t.row("VERDICT", verdictCell(x))
	t.row("PACKET", x.Packet)
	t.row("SERVICE", x.Service)
	t.row("REAL SERVER", x.RealServer)
	t.row("RULE", x.Rule)
	t.row("LCORE", x.Lcore)
	if x.Flow != nil {
		t.row("FLOW", fmt.Sprintf("%s, %s old, gone in %s", x.Flow.State, inTime(x.Flow.AgeSeconds), inTime(x.Flow.ExpiresSecond)))
	}
	if x.Position != nil {
		t.row("POSITION", fmt.Sprintf("%d of %d, hash %s", *x.Position, x.Positions, x.Hash))
	}
	t.gap()
	for i, step := range x.Why {
		t.note("%d. %s", i+1, step)
	}
}

func verdictCell(x api.Explanation) string {
	switch {
	case x.Reason != "":
		return x.Verdict + ": " + x.Reason
	case x.Kind != "":
		return x.Verdict + ": " + x.Kind
	}
	return x.Verdict
}

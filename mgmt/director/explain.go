package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/mgmt/api"
	"turnout/mgmt/store"
)

// segments are the kinds of TCP segments that can be asked for.
var segments = map[string]uint8{
	"syn": frame.TCPSyn, "ack": frame.TCPAck, "fin": frame.TCPFin | frame.TCPAck, "rst": frame.TCPRst,
}

// Explain is that of api.Director.
func (d *Director) Explain(ctx context.Context, q api.ExplainQuery) (x api.Explanation, err error) {
	tuple := &lcore.Tuple{
		Client: ipv4(q.Source.Addr().Unmap()), VIP: ipv4(q.Destination.Addr().Unmap()),
		ClientPort: q.Source.Port(), VIPPort: q.Destination.Port(), Protocol: protocolNumber(q.Protocol),
	}
	v := d.view.Load()
	standing, id, err := d.standing(ctx, tuple)
	if err != nil {
		return x, err
	}
	explainer, err := lcore.NewExplainer(d.config.TSCHz)
	if err != nil {
		return x, err
	}
	packet := packetOf(q, standing.Known)
	found := explainer.Explain(tuple, segments[packet], standing)
	return d.explained(v, id, packet, standing, &found), explainer.Close()
}

// packetOf is the kind of packet that is looked at.
func packetOf(q api.ExplainQuery, known bool) string {
	switch {
	case q.Protocol == store.UDP:
		return "datagram"
	case q.Packet != "":
		return q.Packet
	case known:
		return "ack"
	}
	return "syn"
}

// standing asks the lcores until one has the tuple's flow: first the one whose queue its packets come to, where that is
// known. If none has it, the answer of the lcore that was asked first stands.
func (d *Director) standing(ctx context.Context, tuple *lcore.Tuple) (*lcore.Standing, uint, error) {
	lcores := d.config.Lcores
	if len(lcores) == 0 {
		return nil, 0, errors.New("no lcore polls")
	}
	if queue, ok := d.config.RSS.Queue(tuple); ok && queue < len(lcores) {
		lcores = slices.Concat(lcores[queue:], lcores[:queue])
	}
	var first *lcore.Standing
	for _, l := range lcores {
		r := &lcore.Request{Tuple: tuple}
		if err := answered(ctx, l.Worker, r); err != nil {
			return nil, 0, err
		}
		if r.Standing.Known {
			return &r.Standing, l.ID, nil
		}
		if first == nil {
			first = &r.Standing
		}
	}
	return first, lcores[0].ID, nil
}

var verdictNames = map[lcore.Verdict]string{lcore.Drop: "drop", lcore.Forward: "forward", lcore.Punt: "punt"}

// explained puts an explanation into the API's words.
func (d *Director) explained(v *view, id uint, packet string, st *lcore.Standing, found *lcore.Explanation) api.Explanation {
	x := api.Explanation{Verdict: verdictNames[found.Verdict], Packet: packet, Lcore: id, Rule: found.Rule.String(), Why: []string{}}
	switch found.Verdict {
	case lcore.Drop:
		x.Reason = found.Reason.String()
	case lcore.Punt:
		x.Kind = found.Kind.String()
	}
	if found.Remembered {
		x.NextState = found.After.State.String()
	}
	if st.Known {
		if f, ok := describe(id, v, &st.Flow, st.Now()); ok {
			x.Flow = &f
		}
	}
	svc := v.service(found.Service)
	if svc != nil {
		x.Service, x.Scheduler = svc.Name, svc.Scheduler
		x.Hash, x.Positions = fmt.Sprintf("%016x", found.Hash), found.Positions
		if !found.BySequence && found.Positions > 0 {
			x.Position = &found.Position
		}
		if found.Slot >= 0 {
			x.RealServer, x.MAC = v.flows[uint16(found.Service)].real(uint16(found.Slot)), found.MAC.String()
			x.State = svc.stateOf(x.RealServer)
		}
	}
	x.Why = why(&x, svc)
	return x
}

// service is the configured service of an id; nil: there is none.
func (v *view) service(id int) *serviceView {
	if id < 0 || v.flows[uint16(id)] == nil {
		return nil
	}
	for _, svc := range v.services {
		if keyOf(&svc.Service) == v.flows[uint16(id)].key {
			return svc
		}
	}
	return nil
}

// stateOf is the state of a real server, or of the sorry server.
func (s *serviceView) stateOf(address netip.Addr) string {
	for i := range s.reals {
		if s.reals[i].Address == address {
			return s.reals[i].state()
		}
	}
	if s.sorry != nil && s.sorry.Address == address {
		return s.sorry.live.state
	}
	return "removed"
}

// ruleTexts says what each rule means.
var ruleTexts = map[string]string{
	lcore.RuleKnown.String():       "the flow has this real server already",
	lcore.RuleScheduled.String():   "the flow is new, and the scheduler picks",
	lcore.RuleReopened.String():    "the flow was closed: the SYN opens a new connection with its ports, and the scheduler picks",
	lcore.RuleRescheduled.String(): "the flow's real server is gone, and the scheduler picks another one",
	lcore.RulePersistence.String(): "the client's flows go to this real server",
	lcore.RuleHash.String():        "the flow is not remembered: the packet's hash alone decides, each time alike",
}

// why tells the steps of a decision.
func why(x *api.Explanation, svc *serviceView) []string {
	steps := []string{}
	say := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	if svc == nil {
		say("the packet is for no virtual service")
	} else {
		say("it belongs to service %s (%v %s port %d)", svc.Name, svc.VIP, svc.Protocol, svc.Port)
	}
	if x.Flow != nil {
		say("lcore %d has its flow: %s, on real server %v, for another %.0f s", x.Lcore, x.Flow.State, x.Flow.RealServer, x.Flow.ExpiresSecond)
	} else if svc != nil {
		say("no lcore has a flow of it")
	}
	if text := ruleTexts[x.Rule]; text != "" {
		say("%s", text)
	}
	if x.Position != nil && x.Flow == nil {
		say("%s: its hash falls on position %d of %d", x.Scheduler, *x.Position, x.Positions)
	}
	switch x.Verdict {
	case "forward":
		say("it goes to real server %v at %s, which is %s", x.RealServer, x.MAC, x.State)
	case "drop":
		say("it is dropped: %s", x.Reason)
	case "punt":
		say("the director itself gets it: %s", x.Kind)
	}
	return steps
}

package lcore_test

import (
	"testing"

	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/sched"
)

// web is the town's first service, whose real servers are a, b and c.
func web(t testing.TB, states ...lcore.RealState) lcore.ServiceSpec {
	return service(t, 0, vip, frame.ProtocolTCP, 80, 0, states...)
}

// strict is a service that wants a SYN first.
func strict(svc lcore.ServiceSpec) lcore.ServiceSpec {
	svc.Strict = true
	return svc
}

// onePacket is a service of two real servers, by turns, that remembers no flow.
func onePacket(t testing.TB, svc lcore.ServiceSpec) lcore.ServiceSpec {
	t.Helper()
	svc.OnePacket = true
	return inTurns(t, svc)
}

// inTurns is a service of two real servers, by turns.
func inTurns(t testing.TB, svc lcore.ServiceSpec) lcore.ServiceSpec {
	t.Helper()
	svc.Table = holderOf(tableOf(t, "rr", []sched.Server{
		{ID: "d", Slot: 0, Weight: 1, Usable: true, Share: sched.FullShare}, {ID: "e", Slot: 1, Weight: 1, Usable: true, Share: sched.FullShare},
	}))
	return svc
}

// unreachable is the state of one service whose clients are told when it has no real server.
func unreachable(svc lcore.ServiceSpec) *lcore.Spec {
	svc.Unreachable = true
	return spec(svc)
}

func standby(s *lcore.Spec) *lcore.Spec {
	s.Standby = true
	return s
}

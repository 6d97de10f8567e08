package lcore

import "turnout/flowtable"

// puntsPerSecond says how many frames of a kind one lcore punts in a second, so that a flood of one kind neither starves
// the others nor the kernel. Replies stand far above the rest: they are the answers to thousands of health checks a second.
var puntsPerSecond = [PuntKinds]uint32{
	PuntARP: 8_000, PuntEcho: 4_000, PuntReply: 400_000, PuntVRRP: 1_600, PuntDIP: 32_000, PuntOther: 16_000, PuntUnreachable: 4_000,
}

// puntReserve is the share of the punt ring, one part in so many, that is kept for what the VIPs, the role and the health
// of real servers depend on: strangers' frames to the kernel find the ring full before it is.
const puntReserve = 2

// limits are token buckets, one a kind, filled at every tick and never above a quarter of a second's worth.
type limits struct {
	tokens [PuntKinds]uint32
	filled uint32 // tick
}

// refill adds what the time since the last refill is worth.
func (l *limits) refill(now uint32) {
	ticks := min(now-l.filled, flowtable.TicksPerSecond)
	l.filled = now
	for k, rate := range puntsPerSecond {
		l.tokens[k] = min(l.tokens[k]+ticks*rate/flowtable.TicksPerSecond, rate/4)
	}
}

// take says whether one more frame of a kind may be punted, and counts it.
func (l *limits) take(k PuntKind) bool {
	if l.tokens[k] == 0 {
		return false
	}
	l.tokens[k]--
	return true
}

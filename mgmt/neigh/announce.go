package neigh

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"turnout/lcore/frame"
)

const (
	// RFC 5227 section 1.1 sends PROBE_NUM probes one to two seconds apart, and section 2.2 allows less where answers
	// come fast. On switched Ethernet they come within a millisecond or two; three probes and the silence after the
	// last one take 600 ms.
	probeNum      = 3
	probeInterval = 200 * time.Millisecond

	// After a conflict, and with a random part so that of two directors that started at once one gets it. RFC 5227
	// section 2.1.1 asks for less than one attempt a second.
	retryMin    = 5 * time.Second
	retryJitter = 10 * time.Second

	// An announced VIP is asked for, so that one who answers as well is found within watchInterval. His claim is kept
	// until two questions in a row had no answer.
	watchInterval = 10 * time.Second
	watchSlack    = 500 * time.Millisecond // for an answer, and for whoever is told
	watchJitter   = time.Second
	claimKept     = 25 * time.Second

	// verifyAfter leaves the former holder time to fall silent before a takeover is checked.
	verifyAfter = time.Second

	// Two rounds of announcements, as keepalived sends them: the first may meet a switch whose port is not forwarding yet.
	garpNum      = 5
	garpInterval = 200 * time.Millisecond
	garpPause    = 5 * time.Second
	// garpRefresh keeps switches from forgetting the port: in DR no frame with a VIP as its source ever leaves it.
	garpRefresh       = 60 * time.Second
	garpRefreshJitter = 6 * time.Second

	// RFC 5227 section 2.4 (c): a claim is answered by one announcement, at most every DEFEND_INTERVAL. It waits until a
	// director that is just being told to be standby has been told.
	defendInterval = 10 * time.Second
	defendAfter    = time.Second

	// Many VIPs are spread: at most sendAtOnce frames every sendPause.
	sendAtOnce = 32
	sendPause  = 10 * time.Millisecond

	// Every host on the segment hears a question. More than a hundred a second are not asked: with more than a thousand
	// VIPs, the time from one question for a VIP to the next grows.
	askPause = 10 * time.Millisecond

	// insistMax bounds the answers a second that are given more weight than one answer has.
	insistMax = 100
)

// Run sends probes and announcements as they fall due, until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-g.kick:
		}
		wait, changed := g.step(time.Now())
		timer.Reset(wait)
		if changed && g.cfg.OnChange != nil {
			g.cfg.OnChange()
		}
	}
}

// step sends what is due. It tells how long nothing more will be, and whether VIPs changed since the last step.
func (g *Guard) step(now time.Time) (wait time.Duration, changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := now.Add(garpRefresh)
	left := sendAtOnce
	paused := now.Before(g.resume)
	if paused {
		left = 0
	}
	for _, v := range g.vips {
		left -= g.advance(v, now, left)
		next = earlier(earlier(next, v.nextProbe), v.nextGARP)
	}
	for addr, s := range g.servers {
		g.advanceServer(addr, s, now)
		next = earlier(next, s.nextProbe)
	}
	if left == 0 && !paused {
		g.resume = now.Add(sendPause)
	}
	changed, g.changed = g.changed, false
	return max(next.Sub(now), sendPause), changed
}

// earlier is the one of two times that comes first. A zero time stands for never.
func earlier(next, other time.Time) time.Time {
	if !other.IsZero() && other.Before(next) {
		return other
	}
	return next
}

// advance does what is due for v, if it needs no more than left frames, and tells how many it sent.
func (g *Guard) advance(v *vip, now time.Time, left int) (sent int) {
	if v.claims.forget(now.Add(-claimKept)) {
		g.abandoned(v, now)
	}
	if due(v.nextProbe, now) && left > 0 {
		sent += g.advanceProbe(v, now)
	}
	if due(v.nextGARP, now) && left > sent {
		sent += g.advanceGARP(v, now)
	}
	return sent
}

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// advanceProbe sends the next probe of the round, or ends a round that nobody answered. A probe that could not be sent
// is due again at the next step.
func (g *Guard) advanceProbe(v *vip, now time.Time) (sent int) {
	switch {
	case v.State == Announced:
		return g.watch(v, now)
	case v.probes == probeNum:
		g.unclaimed(v, now)
		return 0
	case !g.cfg.Send(probe(g.cfg.PortMAC, v.Address)):
		return 0
	}
	v.probes++
	v.nextProbe = now.Add(probeInterval)
	return 1
}

// watch asks who else holds an announced VIP.
func (g *Guard) watch(v *vip, now time.Time) (sent int) {
	if !g.ask(v.Address, now) {
		return 0
	}
	v.nextProbe = now.Add(watchPause())
	return 1
}

// watchPause is the time from one question for a VIP to the next.
func watchPause() time.Duration { return watchInterval - watchSlack - rand.N(watchJitter) }

// ask sends a question that can wait, unless one was sent just now.
func (g *Guard) ask(addr netip.Addr, now time.Time) (sent bool) {
	if now.Before(g.nextAsk) || !g.cfg.Send(probe(g.cfg.PortMAC, addr)) {
		return false
	}
	g.nextAsk = now.Add(askPause)
	return true
}

// advanceGARP sends the next announcement.
func (g *Guard) advanceGARP(v *vip, now time.Time) (sent int) {
	if !g.cfg.Send(announcement(g.cfg.PortMAC, v.Address).frame(frame.Broadcast)) {
		return 0
	}
	v.garps--
	switch {
	case v.garps <= 0:
		v.nextGARP = now.Add(garpRefresh - rand.N(garpRefreshJitter))
	case v.garps == garpNum:
		v.nextGARP = now.Add(garpPause)
	default:
		v.nextGARP = now.Add(garpInterval)
	}
	return 1
}

// begin starts a VIP the careful way: probes first.
func (g *Guard) begin(v *vip) {
	if g.silent(v) {
		return
	}
	v.State, v.nextProbe = Probing, time.Now()
}

// takeOver starts a VIP at once, and probes later.
func (g *Guard) takeOver(v *vip) {
	if g.silent(v) {
		return
	}
	now := time.Now()
	g.announce(v, now)
	v.nextProbe = now.Add(verifyAfter)
}

// silent sets the state of a VIP for which nothing is to be sent, and answers false for the others.
func (g *Guard) silent(v *vip) bool {
	switch {
	case !g.active:
		v.State = Standby
	case !g.linkUp:
		v.State = LinkDown
	case v.routed:
		v.State = Announced
	default:
		return false
	}
	return true
}

func (g *Guard) announce(v *vip, now time.Time) {
	v.State, v.garps, v.nextGARP = Announced, 2*garpNum, now
	g.cfg.Log.Info("VIP announced", zap.Stringer("vip", v.Address))
}

// claimed notes that another machine holds v, or wants it at the same time.
func (g *Guard) claimed(v *vip, by frame.MAC) {
	if v.State < Probing || v.routed {
		return
	}
	now := time.Now()
	if v.claims.note(v.Address, by, now) {
		g.noteChange()
	}
	if v.State == Announced {
		g.defend(v, now)
		return
	}
	g.stepBack(v, now)
}

// stepBack leaves v to the one who claims it. The round of probes that is under way has its answer; the next one finds out
// whether the other is still there.
func (g *Guard) stepBack(v *vip, now time.Time) {
	if v.State == Conflict && v.probes == 0 {
		return
	}
	v.State, v.probes = Conflict, 0
	v.nextProbe = now.Add(retryMin + rand.N(retryJitter))
	g.noteChange()
}

// defend announces v once more soon, unless that was done lately or announcements are coming anyway: hosts that heard the
// other machine now look for v there.
func (g *Guard) defend(v *vip, now time.Time) {
	if !g.cfg.Defend || v.garps > 0 || now.Before(v.defended.Add(defendInterval)) {
		return
	}
	v.defended, v.garps, v.nextGARP = now, 1, now.Add(defendAfter)
	g.noteChange()
}

// unclaimed ends a round of probes that nobody answered: v is ours.
func (g *Guard) unclaimed(v *vip, now time.Time) {
	v.claims, v.probes, v.nextProbe = nil, 0, now.Add(watchPause())
	g.announce(v, now)
	g.changed = true
}

// abandoned notes that others claim v no more. Where nobody does, hosts that still look for it there are told.
func (g *Guard) abandoned(v *vip, now time.Time) {
	g.changed = true
	if g.cfg.Defend && len(v.claims) == 0 && v.State == Announced && v.garps == 0 {
		v.garps, v.nextGARP = 1, now
	}
}

// insist follows up the answer to a request for a VIP that another machine answers for as well. Linux believes the first
// answer for a second, but an announcement at once; it goes to the one who asked, and so is heard by nobody else.
func (g *Guard) insist(v *vip, to frame.MAC, now time.Time) {
	if !g.cfg.Defend || len(v.claims) == 0 {
		return
	}
	if now.Sub(g.insistSince) >= time.Second {
		g.insistSince, g.insisted = now, 0
	}
	if g.insisted++; g.insisted <= insistMax {
		g.cfg.Send(announcement(g.cfg.PortMAC, v.Address).frame(to))
	}
}

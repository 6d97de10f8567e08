package director

import (
	"fmt"
	"time"

	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/mgmt/events"
	"turnout/mgmt/store"
)

// judgeQuorum adds up the weight of the real servers that are up. As in keepalived a quorum is lost below quorum -
// hysteresis and regained at quorum + hysteresis; at the start it is not there.
func (d *Director) judgeQuorum(c *compiled) {
	weight := uint64(0)
	for i := range c.view.reals {
		if r := &c.view.reals[i]; r.live.real == lcore.RealUp {
			weight += uint64(r.Weight)
		}
	}
	quorum, hysteresis := uint64(c.service.Quorum), uint64(c.service.Hysteresis)
	before := c.id.quorate
	if before {
		c.id.quorate = weight+hysteresis >= quorum
	} else {
		c.id.quorate = weight >= quorum+hysteresis
	}
	c.view.weight, c.view.quorate = weight, c.id.quorate
	if before != c.id.quorate {
		d.emit(events.Quorum, realKey{service: c.service.Name}, c.quorumText())
	}
}

func (c *compiled) quorumText() string {
	text := fmt.Sprintf("has its quorum: real servers of weight %d are up", c.view.weight)
	if !c.view.quorate {
		text = fmt.Sprintf("has lost its quorum: real servers of weight %d are up, %d is the least", c.view.weight, c.service.Quorum)
		if sorry := c.service.SorryServer.Address; sorry.IsValid() {
			text += fmt.Sprintf("; sorry server %v gets new flows", sorry)
		}
	}
	return text
}

// addSorry gives the sorry server its place in the snapshot: new flows while there is no quorum, else those that it has.
func (c *compiled) addSorry(d *Director, now time.Time) {
	sorry := c.service.SorryServer
	if !sorry.Address.IsValid() {
		return
	}
	rs := store.RealServer{Address: sorry.Address, MAC: sorry.MAC, Weight: 1}
	live := liveness{state: "no_mac"}
	live.mac, live.static = d.macOf(&rs)
	switch {
	case live.mac == frame.MAC{}:
	case c.id.quorate:
		live.state, live.real = "standby", lcore.RealDraining
	default:
		live.state, live.real = "up", lcore.RealUp
	}
	if live.real == lcore.RealUp { // as in keepalived, it stands for all real servers: clients that persist go to it as well
		for n := range c.spec.Reals {
			c.spec.Reals[n].State = min(c.spec.Reals[n].State, lcore.RealDraining)
		}
	}
	view := c.addReal(rs, live, now)
	c.view.sorry = &view
}

package director

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"turnout/lcore"
	"turnout/mgmt/api"
)

// Dropped is that of api.Director.
func (d *Director) Dropped(reason string) ([]api.Packet, error) {
	r, ok := reasonOf(reason)
	if !ok {
		return nil, fmt.Errorf("no frame is dropped for a reason %q, see /v1/drops: %w", reason, api.ErrNotFound)
	}
	v, at := d.view.Load(), d.tsc.times()
	var packets []api.Packet
	for _, l := range d.config.Lcores {
		kept := l.Kept(r)
		for i := range kept {
			k := &kept[i]
			packets = append(packets, api.Packet{
				Time: at(k.TSC), Data: k.Data(), Length: int(k.Length), Comment: v.droppedBecause(l.ID, r, k),
			})
		}
	}
	slices.SortStableFunc(packets, func(a, b api.Packet) int { return a.Time.Compare(b.Time) })
	return packets, nil
}

func reasonOf(name string) (lcore.Reason, bool) {
	for r := range lcore.Reasons {
		if r.String() == name {
			return r, true
		}
	}
	return 0, false
}

// droppedBecause is the decision on a dropped frame.
func (v *view) droppedBecause(id uint, r lcore.Reason, k *lcore.KeptFrame) string {
	steps := []string{fmt.Sprintf("dropped: %v", r), fmt.Sprintf("lcore %d", id)}
	say := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	if k.Kind < lcore.PuntKinds {
		say("punt kind %v", k.Kind)
	}
	if k.Service >= 0 {
		names := v.flows[uint16(k.Service)]
		say("service %s", names.serviceAt(k.Epoch))
		if k.Slot >= 0 {
			say("real server %s", names.realAt(uint16(k.Slot), k.Epoch))
			say("flow %v", k.State)
		} else {
			say("no flow")
		}
	}
	return strings.Join(steps, ", ")
}

// removed stands for what had a number before something else has it, or nothing.
const removed = "(removed since)"

// serviceAt is the name of the service that had the number when the snapshot of that epoch was in force.
func (n *flowNames) serviceAt(epoch uint64) string {
	if n == nil || epoch < n.born {
		return removed
	}
	return n.key.name
}

// realAt is likewise the address of the real server that had a slot.
func (n *flowNames) realAt(slot uint16, epoch uint64) string {
	if address := n.real(slot); n != nil && address.IsValid() && epoch >= n.born && epoch >= n.slotsBorn[slot] {
		return address.String()
	}
	return removed
}

// tscClock tells the wall clock's time of TSC readings. The TSC's frequency is an estimate, a thousandth off at times: over
// hours the clocks are compared instead.
type tscClock struct {
	read  func() uint64
	hz    uint64
	tsc   uint64    // at the start
	start time.Time // then
}

func newTSCClock(read func() uint64, hz uint64) tscClock {
	return tscClock{read, hz, read(), time.Now()}
}

// comparable is after how long the two clocks are better compared than their frequencies believed.
const comparable = time.Minute

// times returns what tells the times of readings. It is to be used at once: the wall clock may be set.
func (c *tscClock) times() func(tsc uint64) time.Time {
	now, tsc := time.Now(), c.read()
	cycle := float64(time.Second) / float64(c.hz) // in nanoseconds
	if since := now.Sub(c.start); since >= comparable {
		cycle = float64(since) / float64(tsc-c.tsc)
	}
	return func(reading uint64) time.Time {
		return now.Add(-time.Duration(float64(int64(tsc-reading)) * cycle))
	}
}

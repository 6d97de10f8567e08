package sched

// Blend returns a table of which share, in 1/FullShare, is that of to and the rest that of from, for a change of weights
// or servers that is to come about gradually. Of hash tables, to has the positions whose draw is less than share: each
// position changes once as the share grows. Of sequence tables, turns are taken alternately. Tables that do not mix,
// as they are of different kinds or lengths or one is empty, give to.
func Blend(from, to *Table, share uint32) *Table {
	switch {
	case share >= FullShare || from.bySequence != to.bySequence || from.Len() == 0 || to.Len() == 0:
		return to
	case !to.bySequence && from.Len() != to.Len():
		return to
	case share == 0:
		return from
	case to.bySequence:
		return &Table{slots: alternate(from.slots, to.slots, share, maxSequence), bySequence: true}
	}
	return &Table{slots: blend(from.slots, to.slots, share)}
}

func blend(from, to []uint16, share uint32) []uint16 {
	slots := make([]uint16, len(to))
	for at := range slots {
		if draw(blendSeed, uint32(at)) < share {
			slots[at] = to[at]
		} else {
			slots[at] = from[at]
		}
	}
	return slots
}

// alternate takes turns from both sequences until both are through, or atMost. Each goes on where it was, and over
// again.
func alternate(from, to []uint16, share uint32, atMost int) []uint16 {
	rest := FullShare - share
	turns := max(len(from)*FullShare/int(rest), len(to)*FullShare/int(share))
	slots := make([]uint16, min(turns, atMost))
	nextFrom, nextTo, credit := 0, 0, uint32(0)
	for i := range slots {
		if credit += share; credit >= FullShare {
			credit -= FullShare
			slots[i] = to[nextTo%len(to)]
			nextTo++
		} else {
			slots[i] = from[nextFrom%len(from)]
			nextFrom++
		}
	}
	return slots
}

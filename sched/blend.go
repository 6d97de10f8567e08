package sched

// Blend returns a table of which share, in 1/FullShare, is that of to and the rest that of from, for a change of weights
// or servers that is to come about gradually. Of hash tables, to has the positions whose draw is less than share: each
// position changes once as the share grows. Of sequence tables, turns are taken from both in proportion. Tables that do
// not mix, as they are of different kinds or lengths or one is empty, give to.
func Blend(from, to *Table, share uint32) *Table {
	switch {
	case share >= FullShare || !alike(from, to):
		return to
	case share == 0:
		return from
	case to.turns == nil:
		return &Table{slots: blend(from.slots, to.slots, share)}
	case to.place != nil:
		turns := alternate(from.turns, to.turns, share, max(len(from.turns), len(to.turns)))
		return &Table{slots: to.slots, turns: turns, place: new(place)}
	}
	turns := alternate(from.turns, to.turns, share, maxSequence)
	return &Table{slots: turns, turns: turns}
}

// alike reports whether the tables mix.
func alike(a, b *Table) bool {
	if a.Len() == 0 || b.Len() == 0 || a.BySequence() != b.BySequence() {
		return false
	}
	return (a.place != nil) == (b.place != nil) && (a.BySequence() || a.Len() == b.Len())
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

// alternate takes turns from both sequences, evenly, until it has been through both, or has atMost.
func alternate(from, to []uint16, share uint32, atMost int) []uint16 {
	rest := FullShare - share
	whole := max((len(from)*FullShare-1)/int(rest), (len(to)*FullShare-1)/int(share)) + 1
	slots := make([]uint16, min(whole, atMost))
	ofFrom, ofTo, credit := 0, 0, uint32(0)
	for i := range slots {
		if credit += share; credit >= FullShare {
			credit -= FullShare
			slots[i] = to[ofTo%len(to)]
			ofTo++
		} else {
			slots[i] = from[ofFrom%len(from)]
			ofFrom++
		}
	}
	return slots
}

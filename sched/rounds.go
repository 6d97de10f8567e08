package sched

// pace says in which rounds, counted from 0, a server takes a turn: in round, and then once every whole + part/per
// rounds, the fractions added up in over.
type pace struct {
	round, whole    uint64
	over, part, per uint64 // over and part are less than per
}

// next moves on to the round of the next turn.
func (p *pace) next() {
	p.round += p.whole
	p.over += p.part
	if p.over >= p.per {
		p.over -= p.per
		p.round++
	}
}

// inRounds returns servers, as indices into paces, in the order of their turns: by round, and in a round by index.
// Sorting by counting takes time for turns and rounds, not for servers that wait: with weights 1 and 65535 most
// would, in most rounds.
func inRounds(paces []pace, rounds uint64) []uint16 {
	place := make([]uint32, rounds+1) // where the next turn of a round goes
	for _, p := range paces {
		for ; p.round < rounds; p.next() {
			place[p.round+1]++
		}
	}
	for r := range rounds {
		place[r+1] += place[r]
	}
	order := make([]uint16, place[rounds])
	for i, p := range paces {
		for ; p.round < rounds; p.next() {
			order[place[p.round]] = uint16(i)
			place[p.round]++
		}
	}
	return order
}

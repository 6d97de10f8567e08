package sched

// maxRounds bounds how often a sequence is gone through to leave a server its share of its turns: shares are exact to
// a 64th of a turn in every round.
const maxRounds = 64

// ramped leaves every server its share, by slot, of its turns, evenly and its first one always; the others keep theirs
// in order. That takes several rounds of the turns, so that shares come out even, but no more than come to atMost turns.
func ramped(turns []uint16, shares []uint32, atMost int) []uint16 {
	credit := make([]uint32, len(shares))
	for slot := range credit {
		credit[slot] = FullShare - 1 // any share makes it a turn
	}
	rounds := evenRounds(shares, min(maxRounds, max(atMost/len(turns), 1)))
	kept := make([]uint16, 0, rounds*len(turns))
	for range rounds {
		for _, slot := range turns {
			if credit[slot] += shares[slot]; credit[slot] >= FullShare {
				credit[slot] -= FullShare
				kept = append(kept, slot)
			}
		}
	}
	return kept
}

// evenRounds returns after how many rounds of a turn each the shares come out even, atMost if they would not earlier.
func evenRounds(shares []uint32, atMost int) int {
	rounds := 1
	for _, share := range shares {
		for rounds < atMost && share*uint32(rounds)%FullShare != 0 {
			rounds *= 2
		}
	}
	return rounds
}

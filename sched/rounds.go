package sched

// inRounds returns servers, by their numbers, in the order in which they take turns: by round, within a round by
// number. turns calls take with every round, from 0 to rounds-1, in which server has a turn. Sorting by counting
// takes time for turns and rounds, not for servers that wait: with weights 1 and 65535 most would, in most rounds.
func inRounds(servers, rounds int, turns func(server int, take func(round int))) []uint16 {
	next := make([]uint32, rounds+1) // where the next turn of a round goes
	for s := range servers {
		turns(s, func(round int) { next[round+1]++ })
	}
	for r := range rounds {
		next[r+1] += next[r]
	}
	order := make([]uint16, next[rounds])
	for s := range servers {
		turns(s, func(round int) {
			order[next[round]] = uint16(s)
			next[round]++
		})
	}
	return order
}

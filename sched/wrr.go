package sched

// maxSequence bounds a wrr table: 2 MB, shared by all lcores. A thousand servers of weights up to 1000 fit exactly.
const maxSequence = 1 << 20

// WRR is weighted round robin in the order of IPVS: heavy servers begin, lighter ones join in.
var WRR = &Scheduler{name: "wrr", bySequence: true, build: buildWRR}

func buildWRR(servers []Server, _ Options) []uint16 {
	weights, largest := sequenceWeights(servers)
	slots := inRounds(len(servers), largest, func(server int, take func(int)) {
		for round := largest - weights[server]; round < largest; round++ {
			take(round)
		}
	})
	for i, server := range slots {
		slots[i] = servers[server].Slot
	}
	return slots
}

// sequenceWeights returns every server's turns in one pass over the sequence, and the largest number of turns.
func sequenceWeights(servers []Server) (weights []int, largest int) {
	divisor, sum := uint64(0), uint64(0)
	for _, s := range servers {
		divisor, sum = gcd(divisor, uint64(s.Weight)), sum+uint64(s.Weight)
	}
	weights = make([]int, len(servers))
	for i, s := range servers {
		weights[i] = sequenceWeight(uint64(s.Weight), divisor, sum)
		largest = max(largest, weights[i])
	}
	return weights, largest
}

func sequenceWeight(weight, divisor, sum uint64) int {
	if sum/divisor <= maxSequence {
		return int(weight / divisor)
	}
	return int(max(weight*maxSequence/sum, 1))
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

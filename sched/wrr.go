package sched

// maxSequence bounds a wrr table: 2 MB, shared by all lcores. A thousand servers of weights up to 1000 fit exactly.
const maxSequence = 1 << 20

// WRR is weighted round robin in the order of IPVS: heavy servers begin, lighter ones join in.
var WRR = &Scheduler{name: "wrr", bySequence: true, build: buildWRR}

func buildWRR(servers []Server, _ Options) []uint16 {
	weights, largest := sequenceWeights(servers)
	paces := make([]pace, len(servers))
	for i, weight := range weights {
		paces[i] = pace{round: largest - weight, whole: 1, per: 1}
	}
	slots := inRounds(paces, largest)
	for i, server := range slots {
		slots[i] = servers[server].Slot
	}
	return slots
}

// sequenceWeights returns every server's turns in one pass over the sequence, and the largest number of turns.
func sequenceWeights(servers []Server) (weights []uint64, largest uint64) {
	divisor, sum := uint64(0), uint64(0)
	for _, s := range servers {
		divisor, sum = gcd(divisor, uint64(s.Weight)), sum+uint64(s.Weight)
	}
	weights = make([]uint64, len(servers))
	for i, s := range servers {
		weights[i] = sequenceWeight(uint64(s.Weight), divisor, sum)
		largest = max(largest, weights[i])
	}
	return weights, largest
}

func sequenceWeight(weight, divisor, sum uint64) uint64 {
	if sum/divisor <= maxSequence {
		return weight / divisor
	}
	return max(weight*maxSequence/sum, 1)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

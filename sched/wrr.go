package sched

// WRR is weighted round robin in the order of IPVS: heavy servers begin, lighter ones join in.
var WRR = &Scheduler{name: "wrr", bySequence: true, build: buildWRR}

func buildWRR(servers []Server, _ Options) []uint16 { return byThreshold(servers, maxSequence) }

// byThreshold returns turns in the order of IPVS's wrr, no more than atMost unless there are more servers.
func byThreshold(servers []Server, atMost int) []uint16 {
	weights, largest := sequenceWeights(servers, atMost)
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

// sequenceWeights returns every server's turns in one pass over a sequence of atMost, and the largest number of turns.
func sequenceWeights(servers []Server, atMost int) (weights []uint64, largest uint64) {
	divisor, sum := uint64(0), uint64(0)
	for _, s := range servers {
		divisor, sum = gcd(divisor, uint64(s.Weight)), sum+uint64(s.Weight)
	}
	weights = make([]uint64, len(servers))
	for i, s := range servers {
		weights[i] = uint64(s.Weight) / divisor
		if sum/divisor > uint64(atMost) {
			weights[i] = max(uint64(s.Weight)*uint64(atMost)/sum, 1)
		}
		largest = max(largest, weights[i])
	}
	return weights, largest
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

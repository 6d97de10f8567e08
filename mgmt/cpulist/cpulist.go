// Package cpulist reads and writes lists of CPUs as the kernel does: 0-3,8.
package cpulist

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Parse reads a list; an empty one has no CPU.
func Parse(text string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		if part == "" {
			continue
		}
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, errFrom := strconv.Atoi(first)
		to, errTo := strconv.Atoi(last)
		if err := errors.Join(errFrom, errTo); err != nil {
			return nil, fmt.Errorf("%q is no list of CPUs: %w", text, err)
		}
		for cpu := from; cpu <= to; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// Format writes rising numbers as 0-3,8.
func Format(cpus []int) string {
	var parts []string
	for i := 0; i < len(cpus); {
		first := i
		for i++; i < len(cpus) && cpus[i] == cpus[i-1]+1; i++ {
		}
		part := strconv.Itoa(cpus[first])
		if i > first+1 {
			part += "-" + strconv.Itoa(cpus[i-1])
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}

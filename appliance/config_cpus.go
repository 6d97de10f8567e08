package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// cpusOnline is where the kernel lists the CPUs that threads can run on.
const cpusOnline = "/sys/devices/system/cpu/online"

// onlineCPUs reads a list such as 0-3,8.
func onlineCPUs(path string) ([]int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var cpus []int
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, errFrom := strconv.Atoi(first)
		to, errTo := strconv.Atoi(last)
		if err := errors.Join(errFrom, errTo); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for cpu := from; cpu <= to; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// rangesText writes rising numbers as 0-3, 8.
func rangesText(numbers []int) string {
	var parts []string
	for i := 0; i < len(numbers); {
		first := i
		for i++; i < len(numbers) && numbers[i] == numbers[i-1]+1; i++ {
		}
		part := strconv.Itoa(numbers[first])
		if i > first+1 {
			part += "-" + strconv.Itoa(numbers[i-1])
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

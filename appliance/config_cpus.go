package main

import (
	"fmt"
	"os"

	"turnout/mgmt/cpulist"
)

// cpusOnline is where the kernel lists the CPUs that threads can run on.
const cpusOnline = "/sys/devices/system/cpu/online"

// onlineCPUs reads the kernel's list of CPUs.
func onlineCPUs(path string) ([]int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cpus, err := cpulist.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cpus, nil
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Host is where and with what a measurement was made.
type Host struct {
	Time    string
	CPU     string
	CPUs    int
	Kernel  string
	Command string // the kernel's command line
	DPDK    string
	Go      string
	Commit  string
	TSCHz   float64
	Load    [2]float64 // load average, before and after
}

func describeHost(root string) Host {
	h := Host{
		Time: time.Now().UTC().Format(time.RFC3339), CPU: cpuModel(), CPUs: strings.Count(readFile("/proc/cpuinfo"), "processor\t:"),
		Kernel: output("", "uname", "-sr"), Command: strings.TrimSpace(readFile("/proc/cmdline")), DPDK: output("", "pkg-config", "--modversion", "libdpdk"),
		Go: output(root, "go", "version"), Commit: output(root, "git", "describe", "--always", "--dirty"),
	}
	h.Load[0] = loadAverage()
	return h
}

func cpuModel() string {
	_, rest, _ := strings.Cut(readFile("/proc/cpuinfo"), "model name\t: ")
	model, _, _ := strings.Cut(rest, "\n")
	return model
}

// readFile and output are for what is told, not relied on: what cannot be had is left empty.
func readFile(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

func output(dir, name string, args ...string) string {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	text, _ := cmd.Output()
	return strings.TrimSpace(string(text))
}

func loadAverage() float64 {
	first, _, _ := strings.Cut(readFile("/proc/loadavg"), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}

const hugepagesFile = "/proc/sys/vm/nr_hugepages"

// reserveHugepages makes sure that n of 2 MB are free, and returns what puts their number back.
func reserveHugepages(n int) (restore func() error, err error) {
	before := readNumber(hugepagesFile)
	if freeHugepages() >= n {
		return func() error { return nil }, nil
	}
	restore = func() error { return writeNumber(hugepagesFile, before) }
	if err := writeNumber(hugepagesFile, before+n-freeHugepages()); err != nil {
		return nil, fmt.Errorf("reserve %d hugepages: %w", n, err)
	}
	if have := freeHugepages(); have < n {
		return nil, errors.Join(fmt.Errorf("only %d of %d hugepages can be had: free some memory", have, n), restore())
	}
	return restore, nil
}

func freeHugepages() int {
	_, rest, _ := strings.Cut(readFile("/proc/meminfo"), "HugePages_Free:")
	line, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(strings.TrimSpace(line))
	return n
}

func readNumber(path string) int {
	n, _ := strconv.Atoi(strings.TrimSpace(readFile(path)))
	return n
}

func writeNumber(path string, n int) error { return os.WriteFile(path, []byte(strconv.Itoa(n)), 0o644) }

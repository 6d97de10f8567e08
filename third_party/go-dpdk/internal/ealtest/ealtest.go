// Package ealtest starts EAL for this module's tests: no hugepages, no PCI, no
// files shared with other processes.
package ealtest

import (
	"fmt"
	"os"
	"testing"

	"github.com/yerden/go-dpdk/eal"
)

// Main runs m's tests between eal.Init and eal.Cleanup, with lcores 0 (main)
// and 1 and the given virtual devices, and exits.
func Main(m *testing.M, vdevs ...string) {
	args := []string{"test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", "256",
		"--lcores", "(0-1)@0", "--log-level", "error"}
	for _, v := range vdevs {
		args = append(args, "--vdev", v)
	}
	if _, err := eal.Init(args); err != nil {
		fmt.Fprintln(os.Stderr, "ealtest:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := eal.Cleanup(); err != nil {
		fmt.Fprintln(os.Stderr, "ealtest: clean up:", err)
		code = 1
	}
	os.Exit(code)
}

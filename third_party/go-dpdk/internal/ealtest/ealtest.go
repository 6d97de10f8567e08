// Package ealtest starts EAL for this module's tests: no hugepages, no PCI, no
// files shared with other processes.
package ealtest

import (
	"fmt"
	"os"
	"os/exec"
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

// Missing skips t for want of what the text names; in CI it fails t instead.
func Missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

const childEnv = "GO_DPDK_TEST_CHILD"

// InChild reports whether t runs in a process of its own. If not it runs t in
// one, fails t with its output if that fails, and t has nothing left to do.
func InChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childEnv) == t.Name() {
		return true
	}
	if out, err := Child(t); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// Child runs t in a process of its own and returns what it printed.
func Child(t *testing.T) ([]byte, error) {
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), childEnv+"="+t.Name())
	return cmd.CombinedOutput()
}

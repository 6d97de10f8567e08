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
// and 1, both on CPU 0, and the given virtual devices, and exits.
func Main(m *testing.M, vdevs ...string) {
	if _, err := eal.Init(Args(vdevs...)); err != nil {
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

// Args returns what Main gives to eal.Init.
func Args(vdevs ...string) []string {
	args := []string{"test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
		"-m", "256", "--lcores", "(0-1)@0", "--log-level", "error"}
	for _, v := range vdevs {
		args = append(args, "--vdev", v)
	}
	return args
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

// IsChild reports whether this process was started by Child.
func IsChild() bool { return os.Getenv(childEnv) != "" }

// Child runs t in a process of its own and returns what it printed.
func Child(t *testing.T) ([]byte, error) {
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	return cmd.CombinedOutput()
}

// InChild reports whether this is a process of t's own. If not it runs t in
// one, and fails t with its output if it fails there.
func InChild(t *testing.T) bool {
	t.Helper()
	if IsChild() {
		return true
	}
	if out, err := Child(t); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// Package e2e tests the binary turnout as users have it: real Linux clients and real servers in network namespaces,
// frames through a real DPDK port. The tests share one segment (segment_test.go); each starts directors of its own
// (director_test.go), and at the end of each the books must balance.
//
// VERIFY=full runs the long forms.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	full       = os.Getenv("VERIFY") == "full"
	scratch    string // folder of this run: the binary, and what hosts and directors write
	executable string // turnout
)

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	// Tests that run side by side mostly wait: there may be more of them than CPUs.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		return 1, err
	}
	if scratch, err = os.MkdirTemp("", "turnout-e2e-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(scratch)
	// Workers of nginx run as another user and read files below.
	if err := os.Chmod(scratch, 0o755); err != nil {
		return 1, err
	}
	executable = filepath.Join(scratch, "turnout")
	if out, err := exec.Command("go", "build", "-o", executable, "../appliance").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build turnout: %w\n%s", err, out)
	}
	defer closeSegment()
	return m.Run(), nil
}

var sharedSegment = sync.OnceValues(newSegment)

// needSegment is the segment that all tests share. Without the privilege to make one the test is skipped, and in CI it
// fails.
func needSegment(t *testing.T) *segment {
	t.Helper()
	if missing := missingCapability(); missing != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	s, err := sharedSegment()
	if err != nil {
		t.Fatalf("lay out the segment: %v", err)
	}
	return s
}

// closeSegment ends what runs on the segment, if a test has made it.
func closeSegment() {
	if missingCapability() == "" {
		if s, err := sharedSegment(); err == nil {
			s.close()
		}
	}
}

func missingCapability() string {
	if os.Geteuid() != 0 {
		return "needs root: network namespaces (CAP_SYS_ADMIN) and packet sockets (CAP_NET_RAW)"
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return "needs /dev/net/tun (modprobe tun)"
	}
	for _, tool := range []string{"ip", "ethtool", "nginx", "curl", "ping", "keepalived", "tshark"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "needs " + tool + ": scripts/deps.sh test installs it"
		}
	}
	return ""
}

// eventually looks every few milliseconds whether what holds, and fails the test if it never does within the limit. It
// returns how long it took.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !holds() {
		if time.Since(start) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}

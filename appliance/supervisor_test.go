package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"turnout/mgmt/api"
)

// serviceManager listens at NOTIFY_SOCKET as systemd does.
type serviceManager struct {
	t        *testing.T
	socket   *net.UnixConn
	messages chan []string // their lines
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	m := &serviceManager{t: t, socket: socket, messages: make(chan []string, 1000)}
	go func() {
		for buffer := make([]byte, 4096); ; {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			m.messages <- strings.Split(string(buffer[:n]), "\n")
		}
	}()
	return m
}

// told returns the next message.
func (m *serviceManager) told() []string {
	m.t.Helper()
	select {
	case lines := <-m.messages:
		return lines
	case <-time.After(20 * time.Second):
		m.t.Fatal("the service manager is told nothing")
		return nil
	}
}

// wait skips messages until one has this line.
func (m *serviceManager) wait(line string) []string {
	m.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if lines := m.told(); slices.Contains(lines, line) {
			return lines
		}
	}
	m.t.Fatalf("the service manager is not told %q", line)
	return nil
}

// pulse is an appliance as a supervisor sees it.
type pulse struct {
	lcores map[uint]uint64
	hung   error // of the director
	state  api.Status
}

func (p *pulse) supervisor(watchdog time.Duration) *supervisor {
	return &supervisor{
		log: zap.NewNop(), watchdog: watchdog, status: func() api.Status { return p.state },
		polls:   func() map[uint]uint64 { return map[uint]uint64{1: p.lcores[1], 2: p.lcores[2]} },
		answers: func(context.Context) error { return p.hung }, seen: map[uint]uint64{1: 0, 2: 0},
	}
}

// A sign of life is given only while all lcores poll and the director answers; a state is told once.
func TestSignsOfLife(t *testing.T) {
	m := newServiceManager(t)
	p := &pulse{lcores: map[uint]uint64{}, state: api.Status{Role: api.RoleActive, Generation: 7, Ready: true}}
	s := p.supervisor(time.Minute)
	for _, step := range []struct {
		what  string
		polls []uint64 // of lcores 1 and 2 since the step before
		hung  error
		ready bool
		want  []string
	}{
		{"all is well", []uint64{9, 9}, nil, true, []string{"WATCHDOG=1", "STATUS=active, generation 7"}},
		{"still", []uint64{1, 1}, nil, true, []string{"WATCHDOG=1"}},
		{"not ready", []uint64{1, 1}, nil, false, []string{"WATCHDOG=1", "STATUS=active, generation 7, not ready: port lan has no link"}},
		{"an lcore hangs", []uint64{1, 0}, nil, true, []string{"STATUS=lcore 2 does not poll"}},
		{"it polls again", []uint64{1, 1}, nil, true, []string{"WATCHDOG=1", "STATUS=active, generation 7"}},
		{"the director hangs too", []uint64{0, 1}, errors.New("too late"), true, []string{"STATUS=lcore 1 does not poll; the director does not answer: too late"}},
	} {
		p.lcores[1] += step.polls[0]
		p.lcores[2] += step.polls[1]
		p.hung, p.state.Ready, p.state.NotReady = step.hung, step.ready, []string{"port lan has no link"}
		s.look(t.Context())
		if diff := cmp.Diff(step.want, m.told()); diff != "" {
			t.Errorf("%s (-want +told):\n%s", step.what, diff)
		}
	}
}

// Without a watchdog there are no signs of life, but the state is told.
func TestStatusWithoutAWatchdog(t *testing.T) {
	m := newServiceManager(t)
	p := &pulse{lcores: map[uint]uint64{1: 1, 2: 1}, state: api.Status{Role: api.RoleStandby, Ready: true}}
	p.supervisor(0).look(t.Context())
	if diff := cmp.Diff([]string{"STATUS=standby, generation 0"}, m.told()); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
}

// A director that hangs makes the supervisor wait no longer than to the next look.
func TestDirectorThatHangsIsNotWaitedFor(t *testing.T) {
	m := newServiceManager(t)
	p := &pulse{lcores: map[uint]uint64{1: 1, 2: 1}}
	s := p.supervisor(40 * time.Millisecond)
	s.answers = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	s.look(t.Context())
	if diff := cmp.Diff([]string{"STATUS=the director does not answer: context deadline exceeded"}, m.told()); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
}

// TestServiceFile has systemd judge the unit, but for the programs it names, which are not installed here.
func TestServiceFile(t *testing.T) {
	unit := serviceFile(t)
	if _, err := exec.LookPath("systemd-analyze"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal("systemd-analyze is missing: install Debian's package systemd")
	} else if err != nil {
		t.Skip("systemd-analyze is missing: install Debian's package systemd")
	}
	path := filepath.Join(t.TempDir(), "turnout.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(unit, "/usr/sbin/turnout", "/bin/true")), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func serviceFile(t *testing.T) string {
	t.Helper()
	unit, err := os.ReadFile("../scripts/turnout.service")
	if err != nil {
		t.Fatal(err)
	}
	return string(unit)
}

// boundingSet is the unit's CapabilityBoundingSet in the words of setpriv.
func boundingSet(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`).FindStringSubmatch(serviceFile(t))
	if found == nil {
		t.Fatal("the unit has no CapabilityBoundingSet")
	}
	return "-all," + strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(found[1], "CAP_", "+"), " ", ","))
}

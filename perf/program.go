package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Machine says where programs run.
type Machine struct {
	Root      string // of the repository
	MainLcore int
	Lcore     int
	Boost     bool // prefer what is measured to others, on machines that have other work
	Sample    int  // the oracle looks at one frame of so many
}

func (m *Machine) build(name string) string { return filepath.Join(m.Root, "perf", "build", name) }

func (m *Machine) plugin() string { return m.build("librte_net_gen.so") }

// floor is testpmd's macswap with the same core, rings, burst and frames as a row's.
func (m *Machine) floor(bed Bed, reportPath string) *exec.Cmd {
	return exec.Command("dpdk-testpmd", "-l", fmt.Sprintf("%d,%d", m.MainLcore, m.Lcore), "--main-lcore", strconv.Itoa(m.MainLcore),
		"--in-memory", "-m", "256", "--no-pci", "--no-telemetry", "--log-level", "warning", "-d", m.plugin(),
		"--vdev", bed.device(reportPath, "swap", m.Sample), "--",
		"-i", "--auto-start", "--no-flush-rx", "--forward-mode=macswap", "--nb-cores=1", "--burst=64", "--rxd=1024", "--txd=1024", "--total-num-mbufs=4096")
}

// command is the row's program. All of them forward until their standard input ends.
func (m *Machine) command(r *Row, reportPath string) *exec.Cmd {
	expect := "dr"
	if r.Mode == "swap" {
		expect = "swap"
	}
	device := r.Bed.device(reportPath, expect, m.Sample)
	if r.Program == "turnout" {
		return m.turnout(r, device)
	}
	return exec.Command(m.build(r.Program), "-device", device, "-eal-args", "-d "+m.plugin(),
		"-main-lcore", strconv.Itoa(m.MainLcore), "-lcore", strconv.Itoa(m.Lcore), "-mode", r.Mode, "-entries", strconv.Itoa(max(r.Entries, 2)),
		"-services", strconv.Itoa(r.Bed.Services), "-reals", strconv.Itoa(r.Bed.Reals), "-timeout", r.Timeout.String())
}

// process is a program at work.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	output bytes.Buffer
	ended  chan error
}

func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGKILL
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go func() { p.ended <- cmd.Wait() }()
	return p, nil
}

// wait returns once ready does; it fails if the program ends before or takes longer than limit.
func (p *process) wait(limit time.Duration, ready func() bool) error {
	deadline := time.After(limit)
	for !ready() {
		select {
		case err := <-p.ended:
			p.ended <- err
			return fmt.Errorf("%s ended: %w\n%s", p.cmd.Path, err, p.output.Bytes())
		case <-deadline:
			return fmt.Errorf("%s did not forward all flows within %s:\n%s", p.cmd.Path, limit, p.output.Bytes())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// boost makes the kernel prefer the program's session, of its own, to all others: nice alone counts only within a session
// (sched_autogroup). Real-time priority would not do: threads of Go's that spin for each other on one CPU hang with it.
func (p *process) boost() error {
	pid := p.cmd.Process.Pid
	group := fmt.Sprintf("/proc/%d/autogroup", pid)
	err := os.WriteFile(group, []byte("-20"), 0o644)
	if errors.Is(err, os.ErrNotExist) {
		err = unix.Setpriority(unix.PRIO_PGRP, pid, -20)
	}
	if err != nil {
		return fmt.Errorf("prefer %s to others (-boost=false goes without): %w", p.cmd.Path, err)
	}
	return nil
}

// stop ends the program: testpmd by its word, the others by the end of their input, turnout by a signal.
func (p *process) stop() error {
	_, _ = io.WriteString(p.stdin, "quit\n") // a program that has ended says so below
	p.stdin.Close()
	if filepath.Base(p.cmd.Path) == "turnout" {
		_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended meanwhile
	}
	select {
	case err := <-p.ended:
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", p.cmd.Path, err, p.output.Bytes())
		}
		return nil
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		return fmt.Errorf("%s does not end\n%s", p.cmd.Path, p.output.Bytes())
	}
}

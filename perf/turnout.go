package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The appliance's addresses on the bed. The oracle wants the MAC 02:00:ss:ss:rr:rr of real server r of service s, so that
// the kernel is told so.
const (
	dip           = "198.19.255.254/15"
	bedInterface  = "perf0"
	vipOf         = "198.18.0.%d"
	ripOf         = "198.19.%d.%d"
	turnoutConfig = `dpdk: {main_lcore: %d, lcores: [%d], memory_mb: 256, idle: busy, eal_args: ["-d", %q]}
ports:
  - {name: bed, device: %q, address: %s, kernel_interface: %s}
flow_table: {entries: %d}
maglev_key_file: %s/maglev.key
mgmt: {listen: ["unix:%s/turnout.sock"]}
`
)

// turnout is the appliance itself on the bed, in a network namespace of its own.
func (m *Machine) turnout(r *Row, device string) *exec.Cmd {
	dir := m.build("turnout")
	config := fmt.Sprintf(turnoutConfig, m.MainLcore, m.Lcore, m.plugin(), device, dip, bedInterface, r.Entries, dir, dir)
	os.RemoveAll(dir)
	cmd := exec.Command(filepath.Join(m.Root, "bin", "turnout"), "run", "-c", filepath.Join(dir, "turnout.yaml"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	for name, text := range map[string]string{"turnout.yaml": config, "services.yaml": servicesFile(r.Bed)} {
		if err := writeFile(filepath.Join(dir, name), text); err != nil {
			cmd.Err = err
		}
	}
	return cmd
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// servicesFile describes the bed's services, of which turnout's rows have one.
func servicesFile(b Bed) string {
	var text strings.Builder
	fmt.Fprintf(&text, "services:\n  - name: bed\n    vip: %s\n    protocol: tcp\n    port: 80\n    health_check: {type: none}\n    real_servers:\n", fmt.Sprintf(vipOf, 1))
	for r := range b.Reals {
		fmt.Fprintf(&text, "      - {address: %s}\n", rip(r))
	}
	return text.String()
}

func rip(r int) string { return fmt.Sprintf(ripOf, r/250, r%250+1) }

// preparation is what a program needs when it has started: turnout's kernel must know the real servers' MACs.
func (m *Machine) preparation(r *Row) func(*process) error {
	if r.Program != "turnout" {
		return nil
	}
	return func(p *process) error {
		var lines strings.Builder
		for i := range r.Bed.Reals {
			fmt.Fprintf(&lines, "neigh replace %s lladdr 02:00:00:00:%02x:%02x dev %s nud permanent\n", rip(i), i>>8, i&255, bedInterface)
		}
		return p.wait(20*time.Second, func() bool {
			ip := exec.Command("nsenter", "-t", fmt.Sprint(p.cmd.Process.Pid), "-n", "ip", "-batch", "-")
			ip.Stdin = strings.NewReader(lines.String())
			return ip.Run() == nil
		})
	}
}

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refusal is a start that must fail, with what it says.
type refusal struct {
	name     string
	settings settings
	replace  [2]string // in turnout.yaml: this by that
	prepare  func(*testing.T, *director)
	mounts   string   // shell commands, run in a mount namespace before turnout
	want     []string // all of it is said, in the one line that begins with "turnout:"
	more     []string // said in lines of their own
}

const noServices = "services: []\n"

// fakePCI has one NIC, bound to its kernel driver.
const fakePCI = `nic=$PWD/bus/pci/devices/0000:3b:00.0; mkdir -p "$nic" "$PWD/drivers/ixgbe"; ln -s "$PWD/drivers/ixgbe" "$nic/driver"; mount --bind "$PWD/bus" /sys/bus`

var refusals = []refusal{
	{
		name:    "hugepages missing",
		replace: [2]string{"hugepages: false, memory_mb: 64", "hugepages: true, memory_mb: 1048576"},
		want:    []string{"dpdk.memory_mb is 1048576 but", "of hugepages are free: reserve", "dpdk.hugepages: false"},
	},
	{
		name:     "PCI device not there",
		settings: settings{device: "0000:ff:1f.7"},
		want:     []string{"device 0000:ff:1f.7 is not on this machine", "bind-nic.sh status"},
	},
	{
		name:     "PCI device not bound",
		settings: settings{device: "0000:3b:00.0"},
		mounts:   fakePCI,
		want:     []string{"device 0000:3b:00.0 is bound to the driver ixgbe, DPDK needs vfio-pci: run scripts/bind-nic.sh bind 0000:3b:00.0"},
	},
	{
		name:     "DPDK driver missing",
		settings: settings{device: "net_foo0"},
		want:     []string{"net_foo0", "correct ports[].device or install the package with its driver"},
	},
	{
		name:     "no tun device",
		settings: settings{device: "net_null0"},
		mounts:   "mount -t tmpfs none /dev/net",
		want:     []string{"kernel interface dip0", "/dev/net/tun", "modprobe tun"},
	},
	{
		name:   "no tun device for the port",
		mounts: "mount -t tmpfs none /dev/net",
		want:   []string{"device net_tap0 needs /dev/net/tun: load the module (modprobe tun)"},
	},
	{
		name:     "kernel interface's name taken",
		settings: settings{device: "net_null0"},
		prepare:  func(t *testing.T, d *director) { d.ip("link add dip0 type veth peer name other") },
		want:     []string{"kernel interface dip0", "another interface has this name", "ip link del dip0", "kernel_interface"},
	},
	{
		name:     "TCP address in use",
		settings: settings{device: "net_null0", listen: `, "127.0.0.1:9180"`},
		prepare: func(t *testing.T, d *director) {
			l, err := d.host.listen("127.0.0.1:9180")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		},
		want: []string{"127.0.0.1:9180", "address in use", "choose another port"},
	},
	{
		name:     "unix socket in use",
		settings: settings{device: "net_null0"},
		prepare: func(t *testing.T, d *director) {
			l, err := net.Listen("unix", d.socket())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		},
		want: []string{"turnout.sock", "address in use", "another turnout?"},
	},
	{
		name: "another interface in the DIP's subnet",
		prepare: func(t *testing.T, d *director) {
			d.ip("link add lan0 type veth peer name lan0-peer\naddress add 192.168.57.5/24 dev lan0\nlink set lan0 up\nlink set lan0-peer up")
		},
		want: []string{"interface lan0 has the address 192.168.57.5/24 in the DIP's subnet", "ip addr del 192.168.57.5/24 dev lan0"},
	},
	{
		name: "another interface that answers ARP for the DIP",
		prepare: func(t *testing.T, d *director) {
			d.ip("link add lan0 type veth peer name lan0-peer\nlink set lan0 up")
			if err := d.host.sysctl("net/ipv4/conf/lan0/arp_ignore=0"); err != nil {
				t.Fatal(err)
			}
		},
		want: []string{"interface lan0 would answer ARP for the DIP", "sysctl -w net/ipv4/conf/lan0/arp_ignore=1"},
	},
	{
		name:     "VIP held by the kernel",
		settings: settings{device: "net_null0", services: web},
		prepare:  func(t *testing.T, d *director) { d.ip("address add 192.168.57.100/32 dev lo") },
		want:     []string{"the VIP 192.168.57.100 is held by the director's kernel", "ip addr del 192.168.57.100/32 dev lo"},
	},
	{
		name:     "unknown keys",
		settings: settings{more: "flow_tabel: {}\nlog: {levle: info}\n"},
		want:     []string{"turnout.yaml:", `flow_tabel: unknown key: did you mean "flow_table"?`},
		more:     []string{`log.levle: unknown key: did you mean "level"?`},
	},
	{
		name:     "bad services file",
		settings: settings{device: "net_null0", services: strings.NewReplacer("port: 80", "port: 70000", "192.168.57.121", "10.0.0.1", "192.168.57.123", "192.168.57.111").Replace(web)},
		want:     []string{"services.yaml:5: services[web].port"},
		more:     []string{"services.yaml:9: services[web].real_servers[10.0.0.1]", "services.yaml:11: services[web].real_servers[192.168.57.111]"},
	},
	{
		name:    "CPU that is not there",
		replace: [2]string{"lcores: [1]", "lcores: [4095]"},
		want:    []string{"dpdk.lcores", "4095"},
	},
}

func TestStartIsRefusedInOneClearSentence(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			if r.settings.services == "" {
				r.settings.services = noServices
			}
			d := newDirector(t, r.settings)
			if r.replace[0] != "" {
				text, _ := os.ReadFile(d.file("turnout.yaml"))
				d.write("turnout.yaml", strings.Replace(string(text), r.replace[0], r.replace[1], 1))
			}
			if r.prepare != nil {
				r.prepare(t, d)
			}
			_, socketBefore := os.Lstat(d.socket())
			d.runToEnd(r.mounts)
			r.judge(t, d)
			if socketBefore != nil {
				d.wantNothingLeft()
			}
		})
	}
}

func (r *refusal) judge(t *testing.T, d *director) {
	t.Helper()
	if code := d.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	var sentences, rest []string
	for line := range strings.Lines(d.log()) {
		if strings.HasPrefix(line, "turnout: ") {
			sentences = append(sentences, line)
		} else {
			rest = append(rest, line)
		}
	}
	if len(sentences) != 1 {
		t.Fatalf("%d lines begin with turnout:, want 1", len(sentences))
	}
	t.Log(strings.TrimSpace(sentences[0]))
	for _, want := range r.want {
		if !strings.Contains(sentences[0], want) {
			t.Errorf("%q is not said", want)
		}
	}
	for _, want := range r.more {
		if !strings.Contains(strings.Join(rest, ""), want) {
			t.Errorf("%q is not said in a line of its own", want)
		}
	}
	if log := d.log(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		t.Error("it panicked")
	}
}

// runToEnd starts a turnout that is expected to end by itself. Mounts are private to it.
func (d *director) runToEnd(mounts string) {
	d.t.Helper()
	if mounts == "" {
		d.run()
	} else {
		d.runAs(exec.Command("sh", "-ec", mounts+fmt.Sprintf("\nexec %s run -c %s", executable, d.file("turnout.yaml"))))
	}
	select {
	case <-d.ended:
	case <-time.After(15 * time.Second):
		d.stop(syscall.SIGKILL)
		d.t.Fatal("turnout started where it should have refused to")
	}
}

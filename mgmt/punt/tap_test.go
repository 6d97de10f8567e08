package punt_test

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"turnout/lcore/frame"
	"turnout/mgmt/internal/netlab"
	"turnout/mgmt/punt"
)

var (
	portMAC   = frame.MAC{2, 0, 0, 0, 1, 0x20}
	clientMAC = frame.MAC{2, 0, 0, 0, 1, 0x35}

	dip    = netip.MustParsePrefix("192.168.57.120/24")
	vip    = netip.MustParseAddr("192.168.57.100")
	client = netip.MustParseAddr("192.168.57.135")

	dip0 = punt.TAPConfig{Name: "dip0", MAC: portMAC, Address: dip, MTU: 1400}
)

func openTAP(t *testing.T) *punt.TAP {
	t.Helper()
	netlab.Require(t)
	tap, err := punt.OpenTAP(dip0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tap.Close() })
	return tap
}

func TestTAPIsAsConfigured(t *testing.T) {
	tap := openTAP(t)
	link, err := netlink.LinkByName("dip0")
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil || len(addrs) != 1 {
		t.Fatalf("addresses %v, error %v, want the DIP alone", addrs, err)
	}
	type state struct {
		Index, MTU           int
		MAC, Flags, Address  string
		IPv6, Ignore, Speaks string
	}
	l := link.Attrs()
	got := state{
		Index: l.Index, MTU: l.MTU, MAC: l.HardwareAddr.String(), Flags: l.Flags.String(), Address: addrs[0].IPNet.String(),
		IPv6:   sysctl(t, "ipv6/conf/dip0/disable_ipv6"),
		Ignore: sysctl(t, "ipv4/conf/dip0/arp_ignore"), Speaks: sysctl(t, "ipv4/conf/dip0/arp_announce"),
	}
	want := state{
		Index: tap.Index(), MTU: 1400, MAC: portMAC.String(), Flags: "up|broadcast|multicast|running", Address: "192.168.57.120/24",
		IPv6: "1", Ignore: "1", Speaks: "2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func sysctl(t *testing.T, key string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/" + key)
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(text))
}

func TestTAPHasNoOffloads(t *testing.T) {
	openTAP(t)
	features := netlab.Run(t, "ethtool", "-k", "dip0")
	for _, feature := range []string{"tx-checksumming", "tcp-segmentation-offload", "generic-receive-offload-hw"} {
		if strings.Contains(features, "\n"+feature+": on") {
			t.Errorf("%s is on", feature)
		}
	}
	if !strings.Contains(features, "\ntcp-segmentation-offload: off") {
		t.Errorf("ethtool does not speak of segmentation: %s", features)
	}
}

func TestCloseRemovesTAP(t *testing.T) {
	tap := openTAP(t)
	if err := tap.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := netlink.LinkByName("dip0"); err == nil {
		t.Error("dip0 outlives its TAP")
	}
}

// holdTAP makes the test binary hold a TAP until it is killed.
const holdTAP = "TURNOUT_TEST_HOLD_TAP"

func TestKilledProcessLeavesNoTAP(t *testing.T) {
	if os.Getenv(holdTAP) != "" {
		openTAP(t)
		select {}
	}
	netlab.Require(t)
	holder := exec.Command(os.Args[0], "-test.run=^TestKilledProcessLeavesNoTAP$")
	holder.Env = append(os.Environ(), holdTAP+"=1")
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer holder.Wait()
	defer holder.Process.Kill()
	waitFor(t, "dip0", func() bool { _, err := netlink.LinkByName("dip0"); return err == nil })
	_, err := punt.OpenTAP(dip0)
	want := "kernel interface dip0: create: device or resource busy: another interface has this name: stop the turnout that holds it, remove it (ip link del dip0), or change kernel_interface"
	if err == nil || err.Error() != want {
		t.Errorf("a second one beside it:\n got %v\nwant %s", err, want)
	}
	holder.Process.Kill()
	holder.Wait()
	tap, err := punt.OpenTAP(dip0)
	if err != nil {
		t.Fatalf("after the kill: %v", err)
	}
	tap.Close()
}

func waitFor(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 5 s for %s", what)
		}
	}
}

func TestTAPErrorsSayWhatToDo(t *testing.T) {
	netlab.Require(t)
	tests := []struct {
		name string
		edit func(*punt.TAPConfig)
		want string
	}{
		{"mtu beyond the rings", func(c *punt.TAPConfig) { c.MTU = 9000 },
			"kernel interface dip0: an mtu of 9000 is more than frames between port and kernel can carry: use at most 2026"},
		{"no name", func(c *punt.TAPConfig) { c.Name = "" },
			`kernel interface "": an interface name has 1 to 15 characters: change kernel_interface`},
		{"long name", func(c *punt.TAPConfig) { c.Name = "a-name-too-long-to-be" },
			`kernel interface "a-name-too-long-to-be": an interface name has 1 to 15 characters: change kernel_interface`},
		{"bad name", func(c *punt.TAPConfig) { c.Name = "dip/0" },
			"kernel interface dip/0: create: invalid argument: not an interface name: change kernel_interface"},
		{"name of another", func(c *punt.TAPConfig) { c.Name = "lo" },
			"kernel interface lo: create: device or resource busy: another interface has this name: stop the turnout that holds it, remove it (ip link del lo), or change kernel_interface"},
		{"group MAC", func(c *punt.TAPConfig) { c.MAC = frame.Broadcast },
			"kernel interface dip0: set MAC ff:ff:ff:ff:ff:ff: cannot assign requested address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := dip0
			test.edit(&cfg)
			_, err := punt.OpenTAP(cfg)
			if err == nil || err.Error() != test.want {
				t.Errorf("\n got %v\nwant %s", err, test.want)
			}
			if _, err := netlink.LinkByName("dip0"); err == nil {
				t.Error("dip0 is left behind")
			}
		})
	}
}

func TestTAPWithoutPrivilege(t *testing.T) {
	if os.Getenv(holdTAP) != "" {
		_, err := punt.OpenTAP(dip0)
		want := "kernel interface dip0: create: operation not permitted: run turnout as root or with CAP_NET_ADMIN"
		if err == nil || err.Error() != want {
			t.Errorf("\n got %v\nwant %s", err, want)
		}
		return
	}
	netlab.Require(t)
	dropped := exec.Command("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", os.Args[0], "-test.run=^TestTAPWithoutPrivilege$")
	dropped.Env = append(os.Environ(), holdTAP+"=1")
	if out, err := dropped.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAdvice(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{syscall.ENOENT, "kernel interface dip0: no such file or directory: load the module (modprobe tun), or give the device to the container (--device /dev/net/tun)"},
		{syscall.ENODEV, "kernel interface dip0: no such device: load the module (modprobe tun), or give the device to the container (--device /dev/net/tun)"},
		{syscall.EACCES, "kernel interface dip0: permission denied: run turnout as root or with CAP_NET_ADMIN"},
		{syscall.EMFILE, "kernel interface dip0: too many open files"},
	}
	for _, test := range tests {
		if got := punt.Explain("dip0", test.err).Error(); got != test.want {
			t.Errorf("\n got %s\nwant %s", got, test.want)
		}
	}
}

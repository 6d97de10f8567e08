package main

import (
	"strings"
	"testing"
)

// realServer runs the command, which on a machine without a NIC nic0 can print only.
func realServer(args ...string) (string, error) {
	return turnout(append([]string{"realserver"}, args...)...)
}

func TestRealServerPrintsCommands(t *testing.T) {
	got, err := realServer("--vip", "192.168.57.100", "--dev", "nic0")
	if err != nil {
		t.Fatal(err)
	}
	sysctls, vip := strings.Index(got, "net/ipv4/conf/nic0/arp_announce=2"), strings.Index(got, "ip address replace 192.168.57.100/32 dev lo")
	if sysctls < 0 || vip < sysctls {
		t.Errorf("want the ARP settings, then the VIP:\n%s", got)
	}
}

func TestRealServerRefusals(t *testing.T) {
	for _, tt := range []struct {
		args, want string
		code       int
	}{
		{"--dev nic0", "--vip is missing\nusage: realserver", exitUsage},
		{"--vip 192.168.57.100 --dev nic0 --sideways", "unknown option --sideways\nusage: realserver", exitUsage},
		{"--vip 2001:db8::1 --dev nic0", "2001:db8::1: an IPv6 VIP is not available in this version", exitFailed},
		{"--vip 192.168.57.100 --dev nic0 --verify", "there is no interface nic0 here", exitFailed},
	} {
		_, err := realServer(strings.Fields(tt.args)...)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || exitCode(err) != tt.code {
			t.Errorf("%s: %v, want %q... and exit code %d", tt.args, err, tt.want, tt.code)
		}
	}
}

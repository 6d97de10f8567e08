package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"turnout/lcore/frame"
	"turnout/mgmt/store"
)

// onePort is the least that a turnout.yaml must hold.
const onePort = `
ports:
  - {name: lan, device: "net_tap0,iface=dp0", address: 192.168.57.120/24}
`

// loadText loads a turnout.yaml with this text.
func loadText(t *testing.T, text string) (*Config, string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "turnout.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(path)
	return c, path, err
}

func mustLoad(t *testing.T, text string) *Config {
	t.Helper()
	c, _, err := loadText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	c.MaglevKeyFile = filepath.Join(t.TempDir(), "maglev.key") // not the one this machine may have
	return c
}

func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	var mistakes *store.Mistakes
	if err == nil || !errors.As(err, &mistakes) {
		t.Fatalf("error %v, want mistakes %q", err, want)
	}
	if got := err.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got mistakes\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestLoadConfigDefaults(t *testing.T) {
	got, path, err := loadText(t, onePort)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.ServicesFile = filepath.Join(filepath.Dir(path), "services.yaml")
	port := defaultPort()
	port.Name, port.Device, port.Address = "lan", "net_tap0,iface=dp0", "192.168.57.120/24"
	want.Ports = []PortConfig{port}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v\nwant %+v", *got, want)
	}
}

func TestLoadConfigValues(t *testing.T) {
	t.Setenv("TURNOUT_DPDK_MEMORY_MB", "256")
	t.Setenv("TURNOUT_DPDK_LCORES", "2, 3")
	t.Setenv("TURNOUT_DPDK_HUGEPAGES", "false")
	t.Setenv("TURNOUT_MGMT_TLS_CLIENT_CA", "/ca.pem")
	t.Setenv("TURNOUT_MGMT_LISTEN", "unix:/a,127.0.0.1:1")
	t.Setenv("TURNOUT_DPDK_EAL_ARGS", "")
	got, _, err := loadText(t, onePort+`    # last port
dpdk: {memory_mb: 128, main_lcore: 7, eal_args: ["--log-level=8"]}
services_file: /etc/services.yaml
watch_services: true
metrics: {real_servers: false}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.Ports = got.Ports
	want.DPDK = DPDKConfig{MainLcore: 7, Lcores: []int{2, 3}, MemoryMB: 256, EALArgs: []string{}}
	want.Mgmt.TLS.ClientCA = "/ca.pem"
	want.Mgmt.Listen = []string{"unix:/a", "127.0.0.1:1"}
	want.ServicesFile, want.WatchServices, want.Metrics.RealServers = "/etc/services.yaml", true, false
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v\nwant %+v", *got, want)
	}
}

// Every key outside ports can be set by its variable.
func TestEveryKeyHasAVariable(t *testing.T) {
	samples := map[reflect.Type]string{
		reflect.TypeFor[string](): "x", reflect.TypeFor[int](): "77", reflect.TypeFor[bool](): "",
		reflect.TypeFor[[]string](): "x,y", reflect.TypeFor[[]int](): "77,78",
	}
	for _, k := range configKeys() {
		if k.ofPort {
			continue
		}
		t.Run(k.variable(), func(t *testing.T) {
			sample := samples[k.value.Type()]
			if k.value.Kind() == reflect.Bool {
				sample = map[bool]string{true: "false", false: "true"}[k.value.Bool()]
			}
			t.Setenv(k.variable(), sample)
			got, _, err := loadText(t, onePort)
			if err != nil {
				t.Fatal(err)
			}
			for _, now := range keysOf(reflect.ValueOf(*got), "") {
				if now.name == k.name && reflect.DeepEqual(now.value.Interface(), k.value.Interface()) {
					t.Errorf("%s is still %v", k.name, now.value)
				}
			}
		})
	}
}

func TestLoadConfigRefusals(t *testing.T) {
	tests := []struct {
		name string
		text string
		want []string // without the file's name
		also []string // what Validate finds in the rest
	}{
		{"unknown keys at every depth", "dkpd: {}\ndpdk: {memory: 1, lcore: [1]}\nports: [{nmae: lan, mtu: 1500}]\nmgmt: {tls: {certificate: a}}", []string{
			`dkpd: unknown key: did you mean "dpdk"?`,
			`dpdk.lcore: unknown key: did you mean "lcores"?`,
			`dpdk.memory: unknown key: did you mean "memory_mb"?`,
			`mgmt.tls.certificate: unknown key: known here are cert, client_ca, key`,
			`ports[0].nmae: unknown key: did you mean "name"?`,
		}, []string{
			`ports[0].name: "": write 1 to 63 of a-z, 0-9, dot and dash, a letter or digit first`,
			`ports[0].device: "": write a PCI address such as "0000:3b:00.0", or a vdev such as "net_tap0,iface=dp0"`,
			`ports[0].address: "": write the DIP with the length of its subnet, such as 192.168.57.120/24`,
		}},
		{"wrong types", "dpdk: {memory_mb: many, hugepages: 1, lcores: 1}\nports: {name: lan}\nrole: true\nlog: console\nflow_table: {entries: 1.5}\nmgmt: {listen: [1]}", []string{
			`dpdk.hugepages: is a whole number: write true or false`,
			`dpdk.lcores: is a whole number: write a list, such as [a, b]`,
			`dpdk.memory_mb: is text: write a whole number`,
			`flow_table.entries: is a number with a fraction: write a whole number`,
			`log: is text: write a mapping (key: value)`,
			`mgmt.listen[0]: is a whole number: write text`,
			`ports: is a mapping: write a list, such as [a, b]`,
			`role: is true or false: write text`,
		}, nil},
		{"empty values", "dpdk:\nrole:\n", []string{
			`dpdk: is empty: write a mapping (key: value)`,
			`role: is empty: write text`,
		}, []string{
			`ports: is empty: describe the port that turnout works on (name, device, address)`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TURNOUT_MAGLEV_KEY_FILE", filepath.Join(t.TempDir(), "maglev.key")) // not the one this machine may have
			_, path, err := loadText(t, tt.text)
			for i := range tt.want {
				tt.want[i] = path + ": " + tt.want[i]
			}
			wantError(t, err, append(tt.want, tt.also...)...)
		})
	}
}

func TestLoadConfigSyntax(t *testing.T) {
	_, path, err := loadText(t, "role: active\n\tlog: x\n")
	wantError(t, err, path+":2: not readable as YAML: found character '\t' that cannot start any token")
	_, path, err = loadText(t, "role: active\nrole: standby\n")
	wantError(t, err, path+`:2: not readable as YAML: mapping key "role" already defined at [1:1]`)

	_, err = LoadConfig("/nonexistent/turnout.yaml")
	if want := "/nonexistent/turnout.yaml does not exist: write it (docs/examples/turnout.yaml is a start), or name it by -c"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestVariableRefusals(t *testing.T) {
	t.Setenv("TURNOUT_DPDK_MEMORY", "1")
	t.Setenv("TURNOUT_DPDK_MAIN_LCORES", "1")
	t.Setenv("TURNOUT_DPDK_LCORES", "1,b")
	t.Setenv("TURNOUT_WATCH_SERVICES", "yes")
	t.Setenv("TURNOUT_FLOW_TABLE_ENTRIES", "1e6")
	t.Setenv("TURNOUT_PORTS_0_NAME", "lan")
	t.Setenv("TURNOUT_MAGLEV_KEY_FILE", filepath.Join(t.TempDir(), "maglev.key"))
	_, path, err := loadText(t, "rolle: active"+onePort)
	wantError(t, err,
		path+`: rolle: unknown key: did you mean "role"?`,
		`TURNOUT_DPDK_LCORES: "b": write a whole number, or several with commas between`,
		`TURNOUT_DPDK_MAIN_LCORES: unknown variable: did you mean "TURNOUT_DPDK_MAIN_LCORE"?`,
		`TURNOUT_DPDK_MEMORY: unknown variable: did you mean "TURNOUT_DPDK_MEMORY_MB"?`,
		`TURNOUT_FLOW_TABLE_ENTRIES: "1e6": write a whole number`,
		`TURNOUT_PORTS_0_NAME: ports are set in turnout.yaml alone: unset this variable`,
		`TURNOUT_WATCH_SERVICES: "yes": write true or false`)
}

func TestExamples(t *testing.T) {
	c, err := LoadConfig("../docs/examples/turnout.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.MaglevKeyFile = filepath.Join(t.TempDir(), "maglev.key")
	if err := c.validate([]int{0, 1}); err != nil {
		t.Error(err)
	}
	if c.ServicesFile != mustAbs(t, "../docs/examples/services.yaml") {
		t.Fatalf("services_file %s", c.ServicesFile)
	}
	text, err := os.ReadFile(c.ServicesFile)
	if err != nil {
		t.Fatal(err)
	}
	state, notes, err := store.Check(text, c.ServicesFile, store.Segment{DIPs: []netip.Prefix{c.Ports[0].Prefix()}})
	if err != nil || len(state.Services) != 5 || len(notes) != 0 {
		t.Errorf("%d services, notes %q, %v", len(state.Services), notes, err)
	}
}

func TestPeers(t *testing.T) {
	p := PortConfig{PeerMACs: []string{"02:00:00:00:01:21", "02:00:00:00:01:22"}}
	want := []frame.MAC{{2, 0, 0, 0, 1, 0x21}, {2, 0, 0, 0, 1, 0x22}}
	if got := p.Peers(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestPCIAddressIsLowered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "turnout.yaml")
	text := "ports: [{name: lan, device: \"0000:3B:00.0\", address: 192.168.57.120/24}]\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(path)
	if err != nil || c.Ports[0].Device != "0000:3b:00.0" {
		t.Errorf("%+v, %v; want the device as sysfs writes it, 0000:3b:00.0", c, err)
	}
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/goccy/go-yaml"
	"github.com/spf13/viper"

	"turnout/lcore/frame"
	"turnout/mgmt/store"
)

// Config is turnout.yaml. The doc tags are the text of docs/configuration.md.
type Config struct {
	DPDK          DPDKConfig      `mapstructure:"dpdk"`
	Ports         []PortConfig    `mapstructure:"ports"`
	FlowTable     FlowTableConfig `mapstructure:"flow_table"`
	MaglevKeyFile string          `mapstructure:"maglev_key_file" doc:"16 bytes that key the packet hash; made at first start, mode 0600. Copy it to every director, so that they choose alike"`
	Mgmt          MgmtConfig      `mapstructure:"mgmt"`
	Health        HealthConfig    `mapstructure:"health"`
	Role          string          `mapstructure:"role" doc:"active or standby; a standby sends and answers nothing for VIPs and drops VIP traffic"`
	DefendVIPs    bool            `mapstructure:"defend_vips" doc:"true: announce a VIP once more when another machine claims it, at most every 10 s, and answer twice who asks for it then, see arp-guard.md; false: only tell of it"`
	StopGrace     string          `mapstructure:"stop_grace" doc:"how long an active director that is told to stop forwards on, not ready, until it is told to be standby: with keepalived the other one takes over first, see ha.md. 0s to 1m; 0s stops at once"`
	ServicesFile  string          `mapstructure:"services_file" doc:"the desired state; relative to the folder of turnout.yaml"`
	WatchServices bool            `mapstructure:"watch_services" doc:"true: load services_file whenever it changes, not only on SIGHUP"`
	Log           LogConfig       `mapstructure:"log"`
	Metrics       MetricsConfig   `mapstructure:"metrics"`
}

// DPDKConfig says how DPDK is started.
type DPDKConfig struct {
	MainLcore int      `mapstructure:"main_lcore" doc:"CPU of the management side"`
	Lcores    []int    `mapstructure:"lcores" doc:"CPUs that poll: each has one receive queue of every port and one flow table"`
	Hugepages bool     `mapstructure:"hugepages" doc:"false: ordinary memory, for trials, laptops and CI"`
	MemoryMB  int      `mapstructure:"memory_mb" doc:"memory for packet buffers and DPDK itself, in MB; at least 64"`
	EALArgs   []string `mapstructure:"eal_args" doc:"arguments handed to DPDK's EAL after all else, an item each; by the environment without commas in them"`
	Idle      string   `mapstructure:"idle" doc:"busy: never sleep; adaptive: sleep when nothing comes; empty: busy for PCI devices, adaptive for vdevs"`
}

// PortConfig is a DPDK port and the director's address on it.
type PortConfig struct {
	Name            string   `mapstructure:"name" doc:"what the port is called in metrics and the API; required"`
	Device          string   `mapstructure:"device" doc:"a PCI address (0000:3b:00.0, bound to vfio-pci) or a DPDK vdev (net_tap0,iface=dp0); required"`
	Address         string   `mapstructure:"address" doc:"the DIP with the length of its subnet, such as 192.168.57.120/24; required"`
	KernelInterface string   `mapstructure:"kernel_interface" doc:"interface by which the kernel has the DIP; turnout makes it"`
	MTU             int      `mapstructure:"mtu" doc:"largest IP packet in bytes; 1280 to 1500"`
	RxDescriptors   int      `mapstructure:"rx_descriptors" doc:"length of a receive ring; a multiple of 32, 64 to 8192"`
	TxDescriptors   int      `mapstructure:"tx_descriptors" doc:"length of a transmit ring; as rx_descriptors"`
	PeerMACs        []string `mapstructure:"peer_macs" doc:"MACs of the other directors on the segment: VIP frames that come from them are dropped as loop"`
}

// FlowTableConfig sizes the flow tables. Entries are live flows per lcore.
type FlowTableConfig struct {
	Entries            int `mapstructure:"entries" doc:"live IPv4 flows that each lcore holds; 64 bytes each"`
	PersistenceEntries int `mapstructure:"persistence_entries" doc:"clients of services with persistence whose real server is known, over all lcores; 32 bytes each"`
	EntriesIPv6        int `mapstructure:"entries_ipv6" doc:"reserved for IPv6, which is not available in this version: leave it out"`
}

// MgmtConfig says who may reach the API.
type MgmtConfig struct {
	Listen      []string  `mapstructure:"listen" doc:"unix:/path or host:port; beyond loopback a token or client certificates must be asked for"`
	SocketGroup string    `mapstructure:"socket_group" doc:"group that may use the unix sockets, beside root"`
	TokenFile   string    `mapstructure:"token_file" doc:"file with the bearer token that lets TCP clients write"`
	TLS         TLSConfig `mapstructure:"tls"`
}

// TLSConfig names PEM files for the TCP listeners.
type TLSConfig struct {
	Cert     string `mapstructure:"cert" doc:"PEM file: the API's certificate; makes TCP listeners speak TLS"`
	Key      string `mapstructure:"key" doc:"PEM file: the certificate's private key"`
	ClientCA string `mapstructure:"client_ca" doc:"PEM file: who signs client certificates; a client with one may write"`
}

// HealthConfig holds what is common to all health checks.
type HealthConfig struct {
	ExecDir  string `mapstructure:"exec_dir" doc:"folder of the files that checks of type exec may run; root's, as all above it, and for nobody else to write. Empty: there are no such checks"`
	ExecUser string `mapstructure:"exec_user" doc:"user that the files of exec_dir run as"`
}

// LogConfig says what is logged and how.
type LogConfig struct {
	Level  string `mapstructure:"level" doc:"debug, info, warn or error"`
	Format string `mapstructure:"format" doc:"console: lines for people; json: one object a line"`
}

// MetricsConfig says what /metrics holds.
type MetricsConfig struct {
	RealServers bool `mapstructure:"real_servers" doc:"false: leaves out the series of single real servers"`
}

// defaultConfig is what holds where turnout.yaml says nothing.
func defaultConfig() Config {
	return Config{
		DPDK:          DPDKConfig{Lcores: []int{1}, Hugepages: true, MemoryMB: 512, EALArgs: []string{}},
		FlowTable:     FlowTableConfig{Entries: 1 << 20, PersistenceEntries: 1 << 16, EntriesIPv6: 1 << 18},
		MaglevKeyFile: "/var/lib/turnout/maglev.key",
		Mgmt:          MgmtConfig{Listen: []string{"unix:/run/turnout.sock", "127.0.0.1:9180"}, SocketGroup: "turnout"},
		Health:        HealthConfig{ExecUser: "nobody"},
		Role:          "active",
		DefendVIPs:    true,
		StopGrace:     "0s",
		ServicesFile:  "services.yaml",
		Log:           LogConfig{Level: "info", Format: "console"},
		Metrics:       MetricsConfig{RealServers: true},
	}
}

// defaultPort is what holds where an item of ports says nothing.
func defaultPort() PortConfig {
	return PortConfig{KernelInterface: "dip0", MTU: 1500, RxDescriptors: 1024, TxDescriptors: 1024, PeerMACs: []string{}}
}

// Prefix is the DIP with the length of its subnet. It is invalid if the address is none.
func (p PortConfig) Prefix() netip.Prefix {
	prefix, _ := netip.ParsePrefix(p.Address)
	return prefix
}

// Peers are the MACs of the other directors. It leaves out what Validate refuses.
func (p PortConfig) Peers() []frame.MAC {
	var peers []frame.MAC
	for _, text := range p.PeerMACs {
		if mac, ok := parseMAC(text); ok {
			peers = append(peers, mac)
		}
	}
	return peers
}

// LoadConfig reads turnout.yaml, then TURNOUT_ variables over it. Values are not judged: Validate does that.
// If keys or types are wrong, the error is a *store.Mistakes with everything that is, what Validate finds included;
// the Config then has defaults in place of what could not be read.
func LoadConfig(path string) (*Config, error) {
	said, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	var m store.Mistakes
	prune(said, reflect.TypeFor[Config](), "", &m)
	m.In(path)
	fillPorts(said)
	v := viper.New()
	for _, k := range configKeys() {
		if !k.ofPort {
			v.SetDefault(k.name, k.value.Interface())
		}
	}
	if err := v.MergeConfigMap(said); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	setFromEnvironment(v, os.Environ(), &m)
	var c Config
	if err := v.UnmarshalExact(&c, strictTypes); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.ServicesFile, err = servicesPath(path, c.ServicesFile); err != nil {
		return nil, err
	}
	for i := range c.Ports { // sysfs and DPDK write PCI addresses in lower case
		if pciAddress.MatchString(c.Ports[i].Device) {
			c.Ports[i].Device = strings.ToLower(c.Ports[i].Device)
		}
	}
	if m.Err() != nil {
		m.Merge(c.Validate())
	}
	return &c, m.Err()
}

// servicesPath is the absolute path of a services file that is named relative to the folder of turnout.yaml.
func servicesPath(config, services string) (string, error) {
	if services != "" && !filepath.IsAbs(services) {
		services = filepath.Join(filepath.Dir(config), services)
	}
	if services == "" {
		return "", nil
	}
	return filepath.Abs(services)
}

func strictTypes(d *mapstructure.DecoderConfig) {
	d.WeaklyTypedInput = false
	d.DecodeHook = nil
}

// readConfig returns the content of turnout.yaml.
func readConfig(path string) (map[string]any, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: write it (docs/examples/turnout.yaml is a start), or name it by -c", path)
	}
	if err != nil {
		return nil, err
	}
	said := map[string]any{}
	if err := yaml.Unmarshal(data, &said); err != nil {
		return nil, syntaxMistake(path, err)
	}
	return said, nil
}

func syntaxMistake(path string, err error) error {
	m := store.Mistake{File: path, Text: "not readable as YAML: " + err.Error()}
	if syntax, ok := errors.AsType[yaml.Error](err); ok && syntax.GetToken() != nil {
		m.Line, m.Text = syntax.GetToken().Position.Line, "not readable as YAML: "+syntax.GetMessage()
	}
	return &store.Mistakes{List: []store.Mistake{m}}
}

// fillPorts writes the defaults of ports, which viper cannot do within a list.
func fillPorts(said map[string]any) {
	ports, _ := said["ports"].([]any)
	for i, p := range ports {
		given, ok := p.(map[string]any)
		if !ok {
			continue
		}
		filled := map[string]any{}
		for _, k := range configKeys() {
			if k.ofPort {
				filled[k.leaf()] = k.value.Interface()
			}
		}
		maps.Copy(filled, given)
		ports[i] = filled
	}
}

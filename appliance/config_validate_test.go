package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"turnout/mgmt/health"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Config)
		want   []string
	}{
		{"lcores", func(c *Config) { c.DPDK.MainLcore, c.DPDK.Lcores = 0, []int{1, 1, 0, 9} }, []string{
			"dpdk.lcores[1]: 1 is listed twice: keep one",
			"dpdk.lcores[2]: 0 is dpdk.main_lcore: the management needs a CPU of its own",
			"dpdk.lcores[3]: 9: no such CPU: this machine has 0-2,4",
		}},
		{"main lcore", func(c *Config) { c.DPDK.MainLcore = 3 }, []string{
			"dpdk.main_lcore: 3: no such CPU: this machine has 0-2,4",
		}},
		{"no lcores", func(c *Config) { c.DPDK.Lcores = nil }, []string{
			"dpdk.lcores: is empty: name at least one CPU that polls",
		}},
		{"memory and idle", func(c *Config) { c.DPDK.MemoryMB, c.DPDK.Idle = 63, "lazy" }, []string{
			"dpdk.memory_mb: 63: DPDK needs at least 64",
			`dpdk.idle: "lazy": write busy or adaptive`,
		}},
		{"no port", func(c *Config) { c.Ports = nil }, []string{
			"ports: is empty: describe the port that turnout works on (name, device, address)",
		}},
		{"two ports", func(c *Config) { c.Ports = append(c.Ports, c.Ports[0]) }, []string{
			"ports[1]: a second port is not available in this version",
		}},
		{"an empty port", func(c *Config) { c.Ports[0] = PortConfig{} }, []string{
			`ports[0].name: "": write 1 to 63 of a-z, 0-9, dot and dash, a letter or digit first`,
			`ports[0].device: "": write a PCI address such as "0000:3b:00.0", or a vdev such as "net_tap0,iface=dp0"`,
			`ports[0].address: "": write the DIP with the length of its subnet, such as 192.168.57.120/24`,
			`ports[0].kernel_interface: "": write an interface name of at most 15 characters, such as dip0`,
			`ports[0].mtu: 0 is out of range: 1280 to 1500`,
			`ports[0].rx_descriptors: 0 is out of range: 64 to 8192`,
			`ports[0].tx_descriptors: 0 is out of range: 64 to 8192`,
		}},
		{"numbers of a port", func(c *Config) {
			c.Ports[0].MTU, c.Ports[0].RxDescriptors, c.Ports[0].TxDescriptors = 9000, 1000, 16384
		}, []string{
			"ports[0].mtu: 9000: jumbo frames (more than 1500) are not available in this version",
			"ports[0].rx_descriptors: 1000: write a multiple of 32",
			"ports[0].tx_descriptors: 16384 is out of range: 64 to 8192",
		}},
		{"peers", func(c *Config) {
			c.Ports[0].PeerMACs = []string{"02:00:00:00:01:21", "01:00:5e:00:00:01", "x", "00:00:00:00:00:00"}
		}, []string{
			`ports[0].peer_macs[1]: "01:00:5e:00:00:01" is no host's MAC address, such as "02:00:00:00:01:21"`,
			`ports[0].peer_macs[2]: "x" is no host's MAC address, such as "02:00:00:00:01:21"`,
			`ports[0].peer_macs[3]: "00:00:00:00:00:00" is no host's MAC address, such as "02:00:00:00:01:21"`,
		}},
		{"flow table", func(c *Config) {
			c.FlowTable = FlowTableConfig{Entries: 1023, PersistenceEntries: 1023, EntriesIPv6: 1}
		}, []string{
			"flow_table.entries: 1023 is out of range: 1024 to 1073741824",
			"flow_table.persistence_entries: 1023 is out of range: 1024 to 67108864",
			"flow_table.entries_ipv6: IPv6 is not available in this version: delete this key",
		}},
		{"listen", func(c *Config) {
			c.Mgmt.Listen = []string{"unix:run/x", "9180", "127.0.0.1:0", "[::1]:9180", "localhost:9180", ":9180", "0.0.0.0:9180", "192.168.57.120:9180"}
		}, []string{
			`mgmt.listen[0]: "unix:run/x": write the socket's whole path, such as unix:/run/turnout.sock`,
			`mgmt.listen[1]: "9180": write unix:/path or host:port, such as 127.0.0.1:9180`,
			`mgmt.listen[2]: "127.0.0.1:0": write unix:/path or host:port, such as 127.0.0.1:9180`,
			"mgmt.listen[5]: :9180 can be reached from beyond this machine: set mgmt.token_file or mgmt.tls.client_ca, or listen on 127.0.0.1",
			"mgmt.listen[6]: 0.0.0.0:9180 can be reached from beyond this machine: set mgmt.token_file or mgmt.tls.client_ca, or listen on 127.0.0.1",
			"mgmt.listen[7]: 192.168.57.120:9180 can be reached from beyond this machine: set mgmt.token_file or mgmt.tls.client_ca, or listen on 127.0.0.1",
		}},
		{"nothing to listen on", func(c *Config) { c.Mgmt.Listen = nil }, []string{
			"mgmt.listen: is empty: name at least one address, such as unix:/run/turnout.sock",
		}},
		{"half of TLS", func(c *Config) { c.Mgmt.TLS.Cert = "a" }, []string{
			"mgmt.tls: cert and key go together: set both or none",
		}},
		{"a client CA without TLS", func(c *Config) { c.Mgmt.TLS.ClientCA = "a" }, []string{
			"mgmt.tls.client_ca: needs mgmt.tls.cert and mgmt.tls.key: client certificates are shown within TLS",
		}},
		{"no certificate", func(c *Config) { c.Mgmt.TLS = TLSConfig{Cert: "/nonexistent/c", Key: "/nonexistent/k"} }, []string{
			"mgmt.tls: cert and key cannot be used: open /nonexistent/c: no such file or directory",
		}},
		{"no token", func(c *Config) { c.Mgmt.TokenFile = "/nonexistent/token" }, []string{
			"mgmt.token_file: stat /nonexistent/token: no such file or directory: make it by (umask 077; openssl rand -hex 16 >/nonexistent/token)",
		}},
		{"words", func(c *Config) { c.Role, c.Log = "Active", LogConfig{Level: "trace", Format: "xml"} }, []string{
			`role: "Active": write active or standby`,
			`log.level: "trace": write debug or info or warn or error`,
			`log.format: "xml": write console or json`,
		}},
		{"no duration", func(c *Config) { c.StopGrace = "5" }, []string{
			`stop_grace: "5" is not a duration: write a number and ms, s, m or h, such as 30s or 10m`,
		}},
		{"a long grace", func(c *Config) { c.StopGrace = "2m" }, []string{"stop_grace: 2m is out of range: 0s to 1m"}},
		{"no folder, no user", func(c *Config) { c.Health = HealthConfig{ExecDir: "/nonexistent", ExecUser: "no-such-user"} }, []string{
			"health.exec_user: user: unknown user no-such-user: name a user of this machine, such as nobody",
			"health.exec_dir: lstat /nonexistent: no such file or directory",
		}},
		{"a relative folder", func(c *Config) { c.Health.ExecDir = "checks" }, []string{
			`health.exec_dir: "checks": write the folder's whole path, such as /etc/turnout/checks`,
		}},
		{"a folder for all to write", func(c *Config) { c.Health.ExecDir = "/tmp" }, []string{
			"health.exec_dir: others than root may write /tmp: chmod go-w /tmp",
		}},
		{"files", func(c *Config) { c.ServicesFile, c.MaglevKeyFile = "", "" }, []string{
			"maglev_key_file: is empty: name the file of the key, such as /var/lib/turnout/maglev.key",
			"services_file: is empty: name the file of the desired state, such as services.yaml",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustLoad(t, onePort)
			if err := c.validate([]int{0, 1, 2, 4}); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			tt.change(c)
			wantError(t, c.validate([]int{0, 1, 2, 4}), tt.want...)
		})
	}
}

func TestExecConfig(t *testing.T) {
	c := mustLoad(t, onePort)
	exec, err := c.Health.exec()
	if err != nil || exec != (health.Exec{}) {
		t.Errorf("unless said: %+v, %v; want exec checks off", exec, err)
	}
	c.Health.ExecDir = "/usr/bin"
	exec, err = c.Health.exec()
	if want := (health.Exec{Dir: "/usr/bin", UID: 65534, GID: 65534}); err != nil || exec != want {
		t.Errorf("got %+v, %v, want %+v", exec, err, want)
	}
	if err := c.validate([]int{0, 1, 2, 4}); err != nil {
		t.Error(err)
	}
}

func TestValidatePortTexts(t *testing.T) {
	const (
		badDevice    = `: write a PCI address such as "0000:3b:00.0", or a vdev such as "net_tap0,iface=dp0"`
		badInterface = `: write an interface name of at most 15 characters, such as dip0`
	)
	tests := []struct {
		key, value string
		want       string // "" for none
	}{
		{"device", "0000:3b:00.0", ""},
		{"device", "0000:AF:1f.7", ""},
		{"device", "3b:00.0", `"3b:00.0"` + badDevice},
		{"device", "0000:3b:00.8", `"0000:3b:00.8"` + badDevice},
		{"device", "eth0", `"eth0"` + badDevice},
		{"device", "net_tap0", ""},
		{"device", "net_af_packet0,iface=eth1,qpairs=2", ""},
		{"device", "net_tap0,iface", `"net_tap0,iface"` + badDevice},
		{"device", "net_tap0, iface=dp0", `"net_tap0, iface=dp0"` + badDevice},
		{"address", "192.168.57.120", `"192.168.57.120": write the DIP with the length of its subnet, such as 192.168.57.120/24`},
		{"address", "2001:db8::1/64", "2001:db8::1/64: IPv6 is not available in this version"},
		{"address", "192.168.57.0/24", "192.168.57.0 is the network address of 192.168.57.0/24: write the director's own"},
		{"address", "192.168.57.255/24", "192.168.57.255 is the broadcast address of 192.168.57.0/24: write the director's own"},
		{"address", "192.168.57.0/31", ""},
		{"address", "192.168.57.1/32", "/32: write the length of the segment's subnet, 8 to 31; real servers must be in it"},
		{"address", "224.0.0.1/24", "224.0.0.1 is no host's own address: write one of the segment's"},
		{"address", "127.0.0.1/8", "127.0.0.1 is no host's own address: write one of the segment's"},
		{"kernel_interface", "fifteen-letters", ""},
		{"kernel_interface", "sixteen--letters", `"sixteen--letters"` + badInterface},
		{"kernel_interface", "lo", `"lo"` + badInterface},
		{"kernel_interface", "a/b", `"a/b"` + badInterface},
		{"kernel_interface", "dp0", `"dp0" is the device's own interface: choose another name`},
	}
	for _, tt := range tests {
		t.Run(tt.key+" "+tt.value, func(t *testing.T) {
			c := mustLoad(t, onePort)
			p := &c.Ports[0]
			fields := map[string]*string{"device": &p.Device, "address": &p.Address, "kernel_interface": &p.KernelInterface}
			*fields[tt.key] = tt.value
			err := c.validate([]int{0, 1})
			if tt.want == "" && err != nil {
				t.Error(err)
			}
			if tt.want != "" {
				wantError(t, err, "ports[0]."+tt.key+": "+tt.want)
			}
		})
	}
}

// write makes a file and returns its path.
func write(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestValidateToken(t *testing.T) {
	const token = "0123456789abcdef0123456789abcdef\n"
	good, open, short := write(t, "good", token, 0o600), write(t, "open", token, 0o604), write(t, "short", "0123456789\n", 0o600)
	tests := []struct {
		path string
		want string
	}{
		{good, ""},
		{open, "mgmt.token_file: anybody on this machine may open " + open + ": chmod 600 " + open},
		{short, "mgmt.token_file: the token in " + short + " has 10 characters, at least 22 are needed: make one by openssl rand -hex 16"},
	}
	for _, tt := range tests {
		c := mustLoad(t, onePort)
		c.Mgmt.Listen, c.Mgmt.TokenFile = []string{"192.168.57.120:9180"}, tt.path
		if err := c.validate([]int{0, 1}); tt.want != "" {
			wantError(t, err, tt.want)
		} else if err != nil {
			t.Error(err)
		}
	}
}

func TestValidateMaglevKey(t *testing.T) {
	const key = "0123456789abcdef"
	good, open, long := write(t, "good", key, 0o600), write(t, "open", key, 0o640), write(t, "long", key+"\n", 0o600)
	tests := []struct {
		path string
		want string
	}{
		{good, ""},
		{open, "maglev_key_file: others than the owner may open " + open + ": chmod 600 " + open},
		{long, "maglev_key_file: " + long + " is not a file of 16 bytes: delete it for a new key, or copy that of another director"},
	}
	for _, tt := range tests {
		c := mustLoad(t, onePort)
		c.MaglevKeyFile = tt.path
		if err := c.validate([]int{0, 1}); tt.want != "" {
			wantError(t, err, tt.want)
		} else if err != nil {
			t.Error(err)
		}
	}
}

// Mutual TLS alone opens an address beyond loopback.
func TestValidateTLS(t *testing.T) {
	cert, key := certificate(t)
	c := mustLoad(t, onePort)
	c.Mgmt.Listen = []string{":9180"}
	c.Mgmt.TLS = TLSConfig{Cert: cert, Key: key, ClientCA: cert}
	if err := c.validate([]int{0, 1}); err != nil {
		t.Error(err)
	}
	c.Mgmt.TLS.ClientCA = "/nonexistent/ca"
	wantError(t, c.validate([]int{0, 1}), "mgmt.tls.client_ca: stat /nonexistent/ca: no such file or directory")
}

// certificate makes a self-signed one and returns the files of it and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return write(t, "cert.pem", asPEM("CERTIFICATE", der), 0o644), write(t, "key.pem", asPEM("PRIVATE KEY", keyDER), 0o600)
}

func TestOnlineCPUs(t *testing.T) {
	got, err := onlineCPUs(write(t, "online", "0-2,4,6-7\n", 0o600))
	if want := []int{0, 1, 2, 4, 6, 7}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := onlineCPUs(write(t, "online", "x\n", 0o600)); err == nil {
		t.Error("x is taken for a CPU")
	}
	if cpus, err := onlineCPUs(cpusOnline); err != nil || len(cpus) == 0 {
		t.Errorf("this machine has the CPUs %v, %v", cpus, err)
	}
}

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"turnout/lcore/frame"
	"turnout/lcore/port"
	"turnout/mgmt/cpulist"
	"turnout/mgmt/health"
	"turnout/mgmt/store"
)

// notAvailable ends every refusal of a value whose feature is not built.
const notAvailable = "not available in this version"

// Bounds of what may be configured.
const (
	minMemoryMB = 64

	minFlows = 1024
	maxFlows = 1 << 30 // 64 GiB a table

	minTemplates = 1024
	maxTemplates = 1 << 26 // 2 GiB

	minMTU = 1280 // RFC 8200 section 5: what every link carries
	maxMTU = 1500

	minDescriptors  = 64
	maxDescriptors  = 8192
	descriptorsStep = 32 // every common NIC takes multiples of it

	maxInterfaceName = 15 // IFNAMSIZ less the ending zero

	minToken     = 22 // bytes: 128 bits in base64
	maglevKeyLen = 16
)

var (
	portName   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)
	pciAddress = regexp.MustCompile(`^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-1][0-9a-fA-F]\.[0-7]$`)
	vdev       = regexp.MustCompile(`^net_[a-z0-9_]+(,[a-z0-9_-]+=[^,\s]+)*$`)
	ifaceName  = regexp.MustCompile(`^[^/:\s]+$`)
)

// Validate judges the values, on this machine. The error is a *store.Mistakes with everything that is wrong.
func (c *Config) Validate() error {
	cpus, err := onlineCPUs(cpusOnline)
	if err != nil {
		return fmt.Errorf("find out which CPUs there are: %w", err)
	}
	return c.validate(cpus)
}

// validate is Validate on a machine of these CPUs.
func (c *Config) validate(cpus []int) error {
	var m store.Mistakes
	c.DPDK.validate(&m, cpus)
	validatePorts(c.Ports, &m)
	c.FlowTable.validate(&m)
	validateMaglevKey(c.MaglevKeyFile, &m)
	c.Mgmt.validate(&m)
	c.Health.validate(&m)
	oneOf("role", c.Role, &m, "active", "standby")
	validateStopGrace(c.StopGrace, &m)
	if c.ServicesFile == "" {
		m.Add("services_file", "is empty: name the file of the desired state, such as services.yaml")
	}
	oneOf("log.level", c.Log.Level, &m, "debug", "info", "warn", "error")
	oneOf("log.format", c.Log.Format, &m, "console", "json")
	return m.Err()
}

func oneOf(key, value string, m *store.Mistakes, words ...string) {
	if !slices.Contains(words, value) {
		m.Add(key, "%q: write %s", value, strings.Join(words, " or "))
	}
}

// maxStopGrace stays below the time after which service managers kill what does not stop.
const maxStopGrace = time.Minute

func validateStopGrace(text string, m *store.Mistakes) {
	var d store.Duration
	if err := d.UnmarshalText([]byte(text)); err != nil {
		m.Add("stop_grace", "%v", err)
	} else if d < 0 || time.Duration(d) > maxStopGrace {
		m.Add("stop_grace", "%s is out of range: 0s to 1m", d)
	}
}

func between(key string, value int, m *store.Mistakes, least, most int) bool {
	if value < least || value > most {
		m.Add(key, "%d is out of range: %d to %d", value, least, most)
		return false
	}
	return true
}

func (d *DPDKConfig) validate(m *store.Mistakes, cpus []int) {
	missing := fmt.Sprintf("no such CPU: this machine has %s", cpulist.Format(cpus))
	if !slices.Contains(cpus, d.MainLcore) {
		m.Add("dpdk.main_lcore", "%d: %s", d.MainLcore, missing)
	}
	if len(d.Lcores) == 0 {
		m.Add("dpdk.lcores", "is empty: name at least one CPU that polls")
	}
	for i, lcore := range d.Lcores {
		key := fmt.Sprintf("dpdk.lcores[%d]", i)
		switch {
		case !slices.Contains(cpus, lcore):
			m.Add(key, "%d: %s", lcore, missing)
		case lcore == d.MainLcore:
			m.Add(key, "%d is dpdk.main_lcore: the management needs a CPU of its own", lcore)
		case slices.Contains(d.Lcores[:i], lcore):
			m.Add(key, "%d is listed twice: keep one", lcore)
		}
	}
	if d.MemoryMB < minMemoryMB {
		m.Add("dpdk.memory_mb", "%d: DPDK needs at least %d", d.MemoryMB, minMemoryMB)
	}
	for i, arg := range d.EALArgs {
		if strings.HasPrefix(arg, "-") && strings.Contains(arg, " ") {
			m.Add(fmt.Sprintf("dpdk.eal_args[%d]", i), "%q holds a space: write the option and its value as two items", arg)
		}
	}
	if d.Idle != "" {
		oneOf("dpdk.idle", d.Idle, m, "busy", "adaptive")
	}
}

func validatePorts(ports []PortConfig, m *store.Mistakes) {
	if len(ports) == 0 {
		m.Add("ports", "is empty: describe the port that turnout works on (name, device, address)")
	}
	for i, p := range ports {
		if i > 0 {
			m.Add(fmt.Sprintf("ports[%d]", i), "a second port is %s", notAvailable)
			return
		}
		p.validate(fmt.Sprintf("ports[%d].", i), m)
	}
}

func (p *PortConfig) validate(at string, m *store.Mistakes) {
	if !portName.MatchString(p.Name) {
		m.Add(at+"name", "%q: write 1 to 63 of a-z, 0-9, dot and dash, a letter or digit first", p.Name)
	}
	if port.Virtual(p.Device) && !vdev.MatchString(p.Device) || !port.Virtual(p.Device) && !pciAddress.MatchString(p.Device) {
		m.Add(at+"device", `%q: write a PCI address such as "0000:3b:00.0", or a vdev such as "net_tap0,iface=dp0"`, p.Device)
	}
	p.validateAddress(at+"address", m)
	p.validateInterface(at+"kernel_interface", m)
	p.validateMTU(at+"mtu", m)
	validateDescriptors(at+"rx_descriptors", p.RxDescriptors, m)
	validateDescriptors(at+"tx_descriptors", p.TxDescriptors, m)
	for i, text := range p.PeerMACs {
		if _, ok := parseMAC(text); !ok {
			m.Add(fmt.Sprintf("%speer_macs[%d]", at, i), `%q is no host's MAC address, such as "02:00:00:00:01:21"`, text)
		}
	}
}

func (p *PortConfig) validateAddress(key string, m *store.Mistakes) {
	dip, err := netip.ParsePrefix(p.Address)
	if err != nil {
		m.Add(key, "%q: write the DIP with the length of its subnet, such as 192.168.57.120/24", p.Address)
		return
	}
	addr := dip.Addr()
	switch {
	case !addr.Is4():
		m.Add(key, "%s: IPv6 is %s", p.Address, notAvailable)
	case addr.IsUnspecified() || addr.IsMulticast() || addr.IsLoopback():
		m.Add(key, "%s is no host's own address: write one of the segment's", addr)
	case dip.Bits() < 8 || dip.Bits() > 31:
		m.Add(key, "/%d: write the length of the segment's subnet, 8 to 31; real servers must be in it", dip.Bits())
	case dip.Bits() < 31 && addr == dip.Masked().Addr():
		m.Add(key, "%s is the network address of %s: write the director's own", addr, dip.Masked())
	case dip.Bits() < 31 && addr == store.Broadcast(dip):
		m.Add(key, "%s is the broadcast address of %s: write the director's own", addr, dip.Masked())
	}
}

func (p *PortConfig) validateInterface(key string, m *store.Mistakes) {
	reserved := []string{"lo", ".", "..", "all", "default"}
	if !ifaceName.MatchString(p.KernelInterface) || len(p.KernelInterface) > maxInterfaceName || slices.Contains(reserved, p.KernelInterface) {
		m.Add(key, "%q: write an interface name of at most %d characters, such as dip0", p.KernelInterface, maxInterfaceName)
		return
	}
	if slices.Contains(strings.Split(p.Device, ","), "iface="+p.KernelInterface) {
		m.Add(key, "%q is the device's own interface: choose another name", p.KernelInterface)
	}
}

func (p *PortConfig) validateMTU(key string, m *store.Mistakes) {
	if p.MTU > maxMTU {
		m.Add(key, "%d: jumbo frames (more than %d) are %s", p.MTU, maxMTU, notAvailable)
		return
	}
	between(key, p.MTU, m, minMTU, maxMTU)
}

func validateDescriptors(key string, n int, m *store.Mistakes) {
	if between(key, n, m, minDescriptors, maxDescriptors) && n%descriptorsStep != 0 {
		m.Add(key, "%d: write a multiple of %d", n, descriptorsStep)
	}
}

// parseMAC reads the MAC of a host.
func parseMAC(text string) (frame.MAC, bool) {
	mac, err := frame.ParseMAC(text)
	return mac, err == nil && mac.Host()
}

func (f *FlowTableConfig) validate(m *store.Mistakes) {
	between("flow_table.entries", f.Entries, m, minFlows, maxFlows)
	between("flow_table.persistence_entries", f.PersistenceEntries, m, minTemplates, maxTemplates)
	if f.EntriesIPv6 != defaultConfig().FlowTable.EntriesIPv6 {
		m.Add("flow_table.entries_ipv6", "IPv6 is %s: delete this key", notAvailable)
	}
}

// validateMaglevKey judges a key that is there; a missing one is made at the start.
func validateMaglevKey(path string, m *store.Mistakes) {
	const key = "maglev_key_file"
	if path == "" {
		m.Add(key, "is empty: name the file of the key, such as %s", defaultConfig().MaglevKeyFile)
		return
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		m.Add(key, "%v", err)
	case !info.Mode().IsRegular() || info.Size() != maglevKeyLen:
		m.Add(key, "%s is not a file of %d bytes: delete it for a new key, or copy that of another director", path, maglevKeyLen)
	case info.Mode().Perm()&0o077 != 0:
		m.Add(key, "others than the owner may open %s: chmod 600 %s", path, path)
	}
}

func (g *MgmtConfig) validate(m *store.Mistakes) {
	if len(g.Listen) == 0 {
		m.Add("mgmt.listen", "is empty: name at least one address, such as unix:/run/turnout.sock")
	}
	for i, address := range g.Listen {
		g.validateListen(fmt.Sprintf("mgmt.listen[%d]", i), address, m)
	}
	validateToken(g.TokenFile, m)
	g.TLS.validate(m)
}

func (g *MgmtConfig) validateListen(key, address string, m *store.Mistakes) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if !filepath.IsAbs(path) {
			m.Add(key, "%q: write the socket's whole path, such as unix:/run/turnout.sock", address)
		}
		return
	}
	host, port, err := net.SplitHostPort(address)
	if n, convErr := strconv.Atoi(port); err != nil || convErr != nil || n < 1 || n > 65535 {
		m.Add(key, "%q: write unix:/path or host:port, such as 127.0.0.1:9180", address)
		return
	}
	if !isLoopback(host) && g.TokenFile == "" && g.TLS.ClientCA == "" {
		m.Add(key, "%s can be reached from beyond this machine: set mgmt.token_file or mgmt.tls.client_ca, or listen on 127.0.0.1", address)
	}
}

// isLoopback says whether only this machine can reach host. An empty host is every address.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func validateToken(path string, m *store.Mistakes) {
	if path == "" {
		return
	}
	const key = "mgmt.token_file"
	info, err := os.Stat(path)
	if err != nil {
		m.Add(key, "%v: make it by (umask 077; openssl rand -hex 16 >%s)", err, path)
		return
	}
	if info.Mode().Perm()&0o007 != 0 {
		m.Add(key, "anybody on this machine may open %s: chmod 600 %s", path, path)
	}
	token, err := os.ReadFile(path)
	if err != nil {
		m.Add(key, "%v", err)
		return
	}
	if n := len(strings.TrimSpace(string(token))); n < minToken {
		m.Add(key, "the token in %s has %d characters, at least %d are needed: make one by openssl rand -hex 16", path, n, minToken)
	}
}

func (t *TLSConfig) validate(m *store.Mistakes) {
	if (t.Cert == "") != (t.Key == "") {
		m.Add("mgmt.tls", "cert and key go together: set both or none")
		return
	}
	if t.Cert == "" {
		if t.ClientCA != "" {
			m.Add("mgmt.tls.client_ca", "needs mgmt.tls.cert and mgmt.tls.key: client certificates are shown within TLS")
		}
		return
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		m.Add("mgmt.tls", "cert and key cannot be used: %v", err)
	}
	if t.ClientCA == "" {
		return
	}
	if _, err := os.Stat(t.ClientCA); err != nil {
		m.Add("mgmt.tls.client_ca", "%v", err)
	}
}

func (h *HealthConfig) validate(m *store.Mistakes) {
	if h.ExecDir == "" {
		return
	}
	exec, err := h.exec()
	if err != nil {
		m.Add("health.exec_user", "%v", err)
	}
	if err := exec.Validate(); err != nil {
		m.Add("health.exec_dir", "%v", err)
	}
}

// exec is what health checks of type exec need.
func (h *HealthConfig) exec() (health.Exec, error) {
	exec := health.Exec{Dir: h.ExecDir}
	if exec.Dir == "" {
		return exec, nil
	}
	u, err := user.Lookup(h.ExecUser)
	if err != nil {
		return exec, fmt.Errorf("%w: name a user of this machine, such as nobody", err)
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	exec.UID, exec.GID = uint32(uid), uint32(gid)
	return exec, errors.Join(errUID, errGID)
}

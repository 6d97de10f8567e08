package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// The segment is 192.168.57.0/24. vip is served by all real servers, vip2 by the second and third.
var (
	vip  = netip.MustParseAddr("192.168.57.100")
	vip2 = netip.MustParseAddr("192.168.57.101")
	vip3 = netip.MustParseAddr("192.168.57.102") // set up on no real server
)

var clientAddress = netip.MustParseAddr("192.168.57.135")

// otherClients are addresses that the client has as well: .160 to .191, a network of 27 bits.
func otherClients() (addresses []netip.Addr) {
	for last := range 32 {
		addresses = append(addresses, netip.AddrFrom4([4]byte{192, 168, 57, byte(160 + last)}))
	}
	return addresses
}

const clientMAC = "02:00:00:00:01:35"

const bigBytes = 50 << 20

// segment is one Linux bridge, in a namespace of its own, with a client and three real servers. Directors come and go
// with the tests.
type segment struct {
	lan     *host
	client  *host
	servers []*server
	bigSum  string // SHA-256 of what the real servers serve as /big, hex
}

func newSegment() (*segment, error) {
	s := &segment{}
	for _, step := range []func() error{s.makeBig, s.makeBridge, s.plugClient, s.plugServers} {
		if err := step(); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *segment) close() {
	for _, rs := range s.servers {
		rs.stopNginx()
	}
}

func bigFile() string { return filepath.Join(scratch, "big") }

func (s *segment) makeBig() error {
	b := make([]byte, bigBytes)
	rand.Read(b)
	sum := sha256.Sum256(b)
	s.bigSum = hex.EncodeToString(sum[:])
	return os.WriteFile(bigFile(), b, 0o644)
}

func (s *segment) makeBridge() (err error) {
	if s.lan, err = newHost("lan"); err != nil {
		return err
	}
	// With br_netfilter loaded, the rules of a packet filter would see the frames on the bridge.
	for _, family := range []string{"ip", "ip6", "arp"} {
		if err := s.lan.sysctl("net/bridge/bridge-nf-call-" + family + "tables=0"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return s.lan.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set br0 up")
}

func (s *segment) plugClient() (err error) {
	if s.client, err = s.plug("client", clientMAC, clientAddress.String()+"/24"); err != nil {
		return err
	}
	var more strings.Builder
	for _, address := range otherClients() {
		fmt.Fprintf(&more, "address add %s/24 dev eth0\n", address)
	}
	return s.client.ip(more.String())
}

// plug makes a host with eth0 on the bridge, where its port has the host's name.
func (s *segment) plug(name, mac, address string) (*host, error) {
	h, err := newHost(name)
	if err != nil {
		return nil, err
	}
	if err := s.plugInto(h, name, mac); err != nil {
		return nil, err
	}
	return h, h.ip(fmt.Sprintf("address add %s dev eth0\nlink set eth0 up", address))
}

// plugInto gives a host an eth0 whose other end is a port of the bridge.
func (s *segment) plugInto(h *host, port, mac string) error {
	if err := s.lan.ip(fmt.Sprintf("link add %s type veth peer name eth0 address %s netns %s\nlink set %s master br0 up", port, mac, h.path(), port)); err != nil {
		return err
	}
	// With offloads on, captures would show checksums not yet filled in and frames longer than the MTU.
	_, err := h.run("ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
	return err
}

func (s *segment) plugServers() error {
	for i := range 3 {
		vips := []netip.Addr{vip}
		if i > 0 {
			vips = append(vips, vip2)
		}
		rs, err := s.plugServer(i+1, vips)
		if err != nil {
			return err
		}
		s.servers = append(s.servers, rs)
	}
	return nil
}

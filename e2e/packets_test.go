package e2e

import (
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// tcpPacket is a TCP segment of the client to the VIP, sound but for what change does to it.
type tcpPacket struct {
	to     string // destination MAC
	port   uint16 // of the VIP
	change func(ip []byte) []byte
}

// ipv4Len is the length of its IPv4 header, in bytes.
const ipv4Len = 20

func (p tcpPacket) frame(t *testing.T) []byte {
	t.Helper()
	ip := &layers.IPv4{
		Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP(clientAddress.AsSlice()), DstIP: net.IP(vip.AsSlice()),
	}
	tcp := &layers.TCP{SrcPort: 4444, DstPort: layers.TCPPort(p.port), SYN: true, Window: 64240}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	packet := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(packet, options, ip, tcp); err != nil {
		t.Fatal(err)
	}
	bytes := packet.Bytes()
	if p.change != nil {
		bytes = p.change(bytes)
	}
	return append(ethernet(p.to), bytes...)
}

// ethernet is the header of a frame of the client's that carries IPv4.
func ethernet(to string) []byte {
	header := append([]byte{}, mustMAC(to)...)
	header = append(header, mustMAC(clientMAC)...)
	return append(header, 0x08, 0x00)
}

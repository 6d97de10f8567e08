package api

import (
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// The interfaces of a capture file: what a port receives and what it sends.
const (
	receiving = iota
	sending
)

// pcapng writes packets in the format of draft-ietf-opsawg-pcapng.
type pcapng struct {
	w     *pcapgo.NgWriter
	began time.Time
}

// newPcapng begins a file on the director's port.
func newPcapng(w io.Writer, director Director) (*pcapng, error) {
	port := "port"
	if ports := director.Ports(); len(ports) > 0 {
		port = ports[0].Name
	}
	face := func(name, description string) pcapgo.NgInterface {
		return pcapgo.NgInterface{Name: port + " " + name, Description: description, LinkType: layers.LinkTypeEthernet}
	}
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "turnout " + director.Status().Version}}
	ng, err := pcapgo.NewNgWriterInterface(w, face("rx", "as received"), options)
	if err == nil {
		_, err = ng.AddInterface(face("tx", "as sent"))
	}
	if err == nil {
		err = ng.Flush()
	}
	return &pcapng{ng, time.Now()}, err
}

func (p *pcapng) write(list []Packet) error {
	for i := range list {
		if err := p.add(&list[i]); err != nil {
			return err
		}
	}
	return p.w.Flush()
}

func (p *pcapng) add(packet *Packet) error {
	info := gopacket.CaptureInfo{Timestamp: packet.Time, CaptureLength: len(packet.Data), Length: packet.Length, InterfaceIndex: receiving}
	flags := pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}
	if packet.Sent {
		info.InterfaceIndex, flags.Direction = sending, pcapgo.NgEpbFlagDirectionOutbound
	}
	return p.w.WritePacketWithOptions(info, packet.Data, pcapgo.NgPacketOptions{Comments: []string{packet.Comment}, Flags: &flags})
}

// finish tells how many frames are missing.
func (p *pcapng) finish(missed uint64) error {
	now := time.Now()
	err := p.w.WriteInterfaceStats(receiving, pcapgo.NgInterfaceStatistics{
		LastUpdate: now, StartTime: p.began, EndTime: now, PacketsReceived: pcapgo.NgNoValue64, PacketsDropped: missed,
	})
	if err != nil {
		return err
	}
	return p.w.Flush()
}

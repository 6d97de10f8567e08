package lcore_test

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"turnout/lcore"
	"turnout/lcore/frame"
)

// rewritten is what a frame must look like after it was forwarded to a MAC: nothing but its MACs differs.
func rewritten(f []byte, to frame.MAC) []byte {
	want := bytes.Clone(f)
	copy(want[:6], to[:])
	copy(want[6:12], portMAC[:])
	return want
}

func TestForwardRewritesOnlyTheMACs(t *testing.T) {
	b := newBench(t, 1024, spec(service(t, 0, vip, frame.ProtocolTCP, 80, 0, lcore.RealUp)))
	f := tcp(t, 40000, 80, "S")
	got := b.run(f)
	if len(got) != 1 || got[0].Verdict != lcore.Forward {
		t.Fatalf("a SYN to the service: %+v, want one Forward", got)
	}
	if want := rewritten(f, realMAC(0)); !bytes.Equal(b.queue.Out[0], want) {
		t.Errorf("sent\n% x, want\n% x", b.queue.Out[0], want)
	}
}

func TestFlowKeepsItsRealServer(t *testing.T) {
	b := newBench(t, 1024, spec(service(t, 0, vip, frame.ProtocolTCP, 80, 0, lcore.RealUp, lcore.RealUp, lcore.RealUp)))
	var frames [][]byte
	for range 3 {
		for port := range uint16(200) {
			flags := "A"
			if len(frames) < 200 {
				flags = "S"
			}
			frames = append(frames, tcp(t, 30000+port, 80, flags))
		}
	}
	b.run(frames...)
	servers := map[string]map[string]bool{}
	for _, out := range b.queue.Out {
		flow, to := string(out[26:38]), string(out[:6])
		if servers[flow] == nil {
			servers[flow] = map[string]bool{}
		}
		servers[flow][to] = true
	}
	if len(servers) != 200 || len(b.queue.Out) != 600 {
		t.Fatalf("%d flows and %d frames were sent, want 200 and 600", len(servers), len(b.queue.Out))
	}
	for flow, tos := range servers {
		if len(tos) != 1 {
			t.Errorf("flow % x went to %d real servers", flow, len(tos))
		}
	}
	var active, connections uint64
	for i := range uint32(3) {
		r := b.ReadReal(i)
		active, connections = active+r.Active, connections+r.Connections
		if r.Packets == 0 {
			t.Errorf("real server %d got nothing of 200 flows", i)
		}
	}
	if active != 200 || connections != 200 {
		t.Errorf("%d active flows, %d connections; want 200 and 200", active, connections)
	}
}

func TestStrangersLeaveRoomInThePuntRing(t *testing.T) {
	b := newBench(t, 1024, spec(service(t, 0, vip, frame.ProtocolTCP, 80, 0, lcore.RealUp)))
	for b.punts.Len() <= b.punts.Cap()/2 {
		b.punts.Put(uint8(lcore.PuntOther), make([]byte, frame.EthernetMin))
	}
	toDIP := toVIP(t, "192.168.57.120", &layers.TCP{SrcPort: 22, DstPort: 50000, ACK: true})
	if got := b.run(toDIP)[0].Verdict; got != lcore.Drop || b.ReadCounters().Drops[lcore.ReasonPuntFull] != 1 {
		t.Errorf("a stranger's frame to the DIP: %v, drops %v; want punt_full", got, b.ReadCounters().Drops)
	}
	answer := bytes.Clone(toDIP)
	mac := realMAC(0)
	copy(answer[6:], mac[:])
	if got := b.run(answer)[0].Verdict; got != lcore.Punt {
		t.Errorf("a real server's answer: %v, want Punt", got)
	}
}

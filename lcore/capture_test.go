package lcore_test

import (
	"testing"

	"github.com/gopacket/gopacket/layers"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
)

// captures empties a capture.
func captures(c *lcore.Capture) (frames []lcore.CapturedFrame) {
	var f lcore.CapturedFrame
	for c.Take(&f) {
		frames = append(frames, f)
	}
	return frames
}

func TestCaptureHasFramesBeforeAndAfter(t *testing.T) {
	b := newBench(t, 1024, town(t))
	syn, query := tcp(t, 40000, 80, "S"), udp(t, 5000, 53)
	b.run(syn) // before it begins
	all := lcore.NewCapture(-1, 0, 100, 64)
	b.Capture(all)
	b.run(tcp(t, 40000, 81, "S"), syn, arp(vip), query)
	b.Capture(nil)
	b.run(syn)
	got := captures(all)
	if len(got) != 2 || all.Missed() != 0 {
		t.Fatalf("%d frames were captured and %d missed, want 2 and none", len(got), all.Missed())
	}
	for i, want := range []struct {
		frame   []byte
		real    int
		service uint16
		slot    uint16
		state   flowtable.State
	}{{syn, 0, 0, 0, flowtable.SynReceived}, {query, 3, 1, 0, flowtable.UDP}} {
		c := got[i]
		compareFrames(t, "before", c.Before(), want.frame)
		compareFrames(t, "after", c.After(), rewritten(want.frame, realMAC(want.real)))
		if c.Service != want.service || c.Slot != want.slot || !c.Known || c.State != want.state || c.Epoch != 1 || c.TSC == 0 {
			t.Errorf("frame %d: %+v; want %+v", i, c, want)
		}
	}
}

func TestCaptureFilters(t *testing.T) {
	other := build(t, "192.168.57.136", "192.168.57.100", &layers.TCP{SrcPort: 40000, DstPort: 80, SYN: true}, nil)
	frames := [][]byte{tcp(t, 40000, 80, "S"), udp(t, 5000, 53), other, udp(t, 5001, 53), other}
	for name, c := range map[string]struct {
		capture *lcore.Capture
		want    []int // indexes of frames
		missed  uint64
	}{
		"all":                     {lcore.NewCapture(-1, 0, 100, 8), []int{0, 1, 2, 3, 4}, 0},
		"a service":               {lcore.NewCapture(1, 0, 100, 8), []int{1, 3}, 0},
		"a client":                {lcore.NewCapture(-1, addr("192.168.57.136"), 100, 8), []int{2, 4}, 0},
		"a client of a service":   {lcore.NewCapture(0, client, 100, 8), []int{0}, 0},
		"a service without flows": {lcore.NewCapture(3, 0, 100, 8), nil, 0},
		"so many":                 {lcore.NewCapture(-1, 0, 3, 8), []int{0, 1, 2}, 0},
		"no room":                 {lcore.NewCapture(-1, 0, 100, 4), []int{0, 1, 2, 3}, 1},
	} {
		b := newBench(t, 1024, town(t))
		b.Capture(c.capture)
		b.run(frames...)
		got := captures(c.capture)
		if len(got) != len(c.want) || c.capture.Missed() != c.missed {
			t.Errorf("%s: %d frames and %d missed, want %d and %d", name, len(got), c.capture.Missed(), len(c.want), c.missed)
			continue
		}
		for i, n := range c.want {
			compareFrames(t, name, got[i].Before(), frames[n])
		}
	}
}

// TestCaptureLeavesOutLoops captures a frame that has a real server, but is that server's own.
func TestCaptureLeavesOutLoops(t *testing.T) {
	nobody := spec(web(t, up))
	nobody.Services[0].Reals[0].MAC = frame.MAC{}
	b := newBench(t, 1024, nobody)
	c := lcore.NewCapture(-1, 0, 100, 8)
	b.Capture(c)
	syn := tcp(t, 40000, 80, "S")
	b.run(with(syn, from(frame.MAC{})), syn, with(syn, from(frame.MAC{})))
	if got := captures(c); len(got) != 1 {
		t.Errorf("%d frames were captured, want the one that was forwarded", len(got))
	}
}

// TestCaptureWaitsForItsReader has a burst come before the one before it was taken.
func TestCaptureWaitsForItsReader(t *testing.T) {
	b := newBench(t, 1024, town(t))
	c := lcore.NewCapture(-1, 0, 1000, 4)
	b.Capture(c)
	for port := range uint16(2) {
		b.run(tcp(t, 20000+port, 80, "S"), tcp(t, 30000+port, 80, "S"), tcp(t, 40000+port, 80, "S"))
	}
	got := captures(c)
	if len(got) != 4 || c.Missed() != 2 {
		t.Fatalf("%d frames and %d missed, want 4 and 2", len(got), c.Missed())
	}
	for i, port := range []uint16{20000, 30000, 40000, 20001} {
		compareFrames(t, "a captured frame", got[i].Before(), tcp(t, port, 80, "S"))
	}
}

// TestCaptureGoesRound takes frames as they come, more than there is room for.
func TestCaptureGoesRound(t *testing.T) {
	b := newBench(t, 1024, town(t))
	c := lcore.NewCapture(-1, 0, 1000, 4)
	b.Capture(c)
	for port := range uint16(50) {
		f := tcp(t, 20000+port, 80, "S")
		b.run(f, f, f)
		got := captures(c)
		if len(got) != 3 {
			t.Fatalf("after %d rounds: %d frames, want 3", port, len(got))
		}
		compareFrames(t, "a captured frame", got[2].Before(), f)
	}
}

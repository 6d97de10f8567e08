package lcore_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"turnout/flowtable"
	"turnout/lcore"
)

// FuzzForward reads its input as a script of frames, time that passes and snapshots, and plays it to two workers: to one
// in whole bursts, to the other frame by frame. Each has a twin beside it, which demands the same verdicts, bytes,
// flows and counters. Frames end at a page without access, so that reading past their end crashes.
func FuzzForward(f *testing.F) {
	for _, s := range stories(f) {
		f.Add(scriptOf(s.steps))
	}
	for _, bad := range badFrames(f) {
		f.Add(frameOp(nil, bad.frame))
	}
	specs, queue := fuzzSpecs(f), newQueue(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, most := range []int{lcore.BurstSize, 1} {
			d, err := newDuel(queue, 64, specs[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(d.play(data, specs, most), d.close()); err != nil {
				t.Fatalf("in bursts of up to %d: %v", most, err)
			}
		}
	})
}

// The operations of a script. Any other byte is a frame's: two bytes of length follow, and the frame.
const (
	opPublish = 0 // two bytes follow: which snapshot
	opTime    = 1 // two bytes follow: ticks
	opFrame   = 2
)

// Limits of a script: no more flows than the table surely holds, no frame that a ring does not.
const (
	scriptFrames = 60
	scriptFrame  = 1600 // bytes
)

func frameOp(script, frame []byte) []byte {
	script = binary.BigEndian.AppendUint16(append(script, opFrame), uint16(len(frame)))
	return append(script, frame...)
}

// scriptOf tells a story without its snapshots.
func scriptOf(steps []step) (script []byte) {
	for _, s := range steps {
		if ticks := s.after / (time.Second / flowtable.TicksPerSecond); ticks > 0 {
			script = binary.BigEndian.AppendUint16(append(script, opTime), uint16(ticks))
		}
		if s.spec != nil {
			script = append(script, opPublish, 0, byte(len(script)))
		}
		script = frameOp(script, s.frame)
	}
	return script
}

// play runs a script in bursts of up to most frames.
func (d *duel) play(script []byte, specs []*lcore.Spec, most int) error {
	var burst [][]byte
	flush := func() error {
		defer func() { burst = nil }()
		return errors.Join(d.send(burst...), d.compareFlows())
	}
	for frames := 0; len(script) >= 3 && frames < scriptFrames; {
		op, arg := script[0], binary.BigEndian.Uint16(script[1:])
		script = script[3:]
		between := op == opPublish || op == opTime
		if !between {
			n := min(int(arg), scriptFrame, len(script))
			burst, script, frames = append(burst, script[:n]), script[n:], frames+1
		}
		if between || len(burst) == most {
			if err := flush(); err != nil {
				return err
			}
		}
		switch op {
		case opPublish:
			d.publish(specs[int(arg)%len(specs)])
		case opTime:
			d.pass(uint32(arg))
		}
	}
	return flush()
}

// fuzzSpecs are states of the random tests' services: all well, some real servers away, all away, standby.
func fuzzSpecs(t testing.TB) []*lcore.Spec {
	well := func(int) lcore.RealState { return up }
	some := func(n int) lcore.RealState { return [...]lcore.RealState{gone, up, draining, down}[n%4] }
	none := func(int) lcore.RealState { return gone }
	return []*lcore.Spec{
		castSpec(t, well, false), castSpec(t, some, false), castSpec(t, well, true), castSpec(t, none, false), standby(castSpec(t, well, false)),
	}
}

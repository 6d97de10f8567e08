package lcore_test

import (
	"bytes"
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"turnout/lcore"
)

var update = flag.Bool("update", false, "write the golden files from the stories")

// A story is a short life of a worker, told by the frames it gets. They are kept in testdata/golden/<name>.in.pcap,
// those it sends in <name>.want.pcap, so that they can be looked at with any capture tool.
type story struct {
	name   string
	spec   *lcore.Spec    // in force at the start
	flows  int            // the flow table's; 0 means 1024
	before func(b *bench) // what happened before, nil if nothing
	steps  []step
	tally  map[string]tally // by real server's letter: what it counts at the end, its frames aside
	shaken map[string]shaken
}

// A step is one frame.
type step struct {
	after time.Duration // since the step before
	spec  *lcore.Spec   // published before the frame comes, if not nil
	frame []byte
	want  string // "forward <real server>", "drop <reason>" or "punt <kind>"
}

// tally is what the counters of a real server say of flows.
type tally struct{ connections, rescheduled, active, inactive uint64 }

// shaken is what they say of handshakes. The times are in milliseconds, told by the ends of their buckets.
type shaken struct {
	syns, again, unanswered, resets, fins uint64
	times                                 []uint64
}

func TestGolden(t *testing.T) {
	for _, s := range stories(t) {
		t.Run(s.name, s.run)
	}
}

// TestEveryEndHasAStory keeps the stories complete.
func TestEveryEndHasAStory(t *testing.T) {
	told := map[string]bool{}
	for _, s := range stories(t) {
		if told[s.name] {
			t.Errorf("two stories are called %s", s.name)
		}
		told[s.name] = true
		for _, step := range s.steps {
			told[step.want] = true
		}
	}
	for r := range lcore.Reasons {
		if !told["drop "+r.String()] {
			t.Errorf("no story tells of a frame dropped for reason %s: add one to stories_test.go", r)
		}
	}
	for k := range lcore.PuntKinds {
		if !told["punt "+k.String()] {
			t.Errorf("no story tells of a frame punted as %s: add one to stories_test.go", k)
		}
	}
}

// TestGoldenFilesHaveStories finds golden files that no test looks at any more.
func TestGoldenFilesHaveStories(t *testing.T) {
	known := map[string]bool{}
	for _, s := range stories(t) {
		known[s.file("in")], known[s.file("want")] = true, true
	}
	files, err := filepath.Glob(filepath.Join(goldenDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !known[file] {
			t.Errorf("%s belongs to no story: delete it", file)
		}
	}
}

func (s *story) run(t *testing.T) {
	b := newBench(t, cmp.Or(s.flows, 1024), s.spec)
	if s.before != nil {
		s.before(b)
	}
	in, want := s.inputs(), []captured(nil)
	sent := len(b.queue.Out)
	for i, step := range s.steps {
		b.stepAt(in[i].at, step.spec)
		got := b.checked(t, in[i].frame)
		if got != step.want {
			t.Errorf("frame %d: got %q, want %q", i+1, got, step.want)
		}
		if reason, ok := strings.CutPrefix(got, "drop "); ok {
			b.wantKept(t, reason, in[i].frame)
		}
		for _, out := range b.queue.Out[sent:] {
			want = append(want, captured{in[i].at, out})
		}
		sent = len(b.queue.Out)
	}
	s.compare(t, "in", in)
	s.compare(t, "want", want)
	for name, want := range s.tally {
		r := b.ReadReal(uint32(name[0] - 'a'))
		if got := (tally{r.Connections, r.Rescheduled, r.Active, r.Inactive}); got != want {
			t.Errorf("real server %s: got %+v, want %+v", name, got, want)
		}
	}
	for name, want := range s.shaken {
		if got := b.shaken(uint32(name[0] - 'a')); !reflect.DeepEqual(got, want) {
			t.Errorf("real server %s: got %+v, want %+v", name, got, want)
		}
	}
}

func (b *bench) shaken(counter uint32) shaken {
	c, h := b.ReadReal(counter), b.ReadHandshakes(counter)
	s := shaken{syns: c.Syns, again: h.Retransmissions, unanswered: c.Unanswered, resets: h.Resets, fins: h.Fins}
	for i, n := range h.Times {
		s.times = append(s.times, slices.Repeat([]uint64{lcore.HandshakeBound(i)}, int(n))...)
	}
	return s
}

func (s *story) inputs() (frames []captured) {
	at := time.Duration(0)
	for _, step := range s.steps {
		at += step.after
		frames = append(frames, captured{at, step.frame})
	}
	return frames
}

// stepAt lets time pass up to a point of the story and publishes what is due.
func (b *bench) stepAt(at time.Duration, spec *lcore.Spec) {
	if b.began == 0 {
		b.began = b.queue.Now
	}
	b.queue.Now = max(b.queue.Now, b.began+uint64(at))
	if spec != nil {
		b.Publish(lcore.Compile(spec))
	}
}

// checked sends one frame through the worker and tells what became of it: the verdict, and to whom or why. It fails the
// test where frame, counters or punt ring say something else.
func (b *bench) checked(t testing.TB, f []byte) string {
	t.Helper()
	before, reals := b.ReadCounters(), b.readReals()
	sent := len(b.queue.Out)
	decision := b.run(f)[0]
	after := b.ReadCounters()
	if after.RxPackets != before.RxPackets+1 || after.RxBytes != before.RxBytes+uint64(len(f)) {
		t.Errorf("received: got %d frames, %d bytes; want 1 and %d", after.RxPackets-before.RxPackets, after.RxBytes-before.RxBytes, len(f))
	}
	var ends []string
	for i, r := range b.readReals() {
		ends = append(ends, ended("forward "+letter(i), reals[i].Packets, r.Packets)...)
	}
	for r := range lcore.Reasons {
		ends = append(ends, ended("drop "+r.String(), before.Drops[r], after.Drops[r])...)
	}
	for k := range lcore.PuntKinds {
		ends = append(ends, ended("punt "+k.String(), before.Punted[k], after.Punted[k])...)
	}
	if len(ends) != 1 {
		t.Fatalf("one frame was counted as %q, want one end", ends)
	}
	b.checkFrame(t, f, decision.After, ends[0], b.queue.Out[sent:])
	if verdict, _, _ := strings.Cut(ends[0], " "); verdict != verdicts[decision.Verdict] {
		t.Errorf("verdict: got %s, counted as %s", verdicts[decision.Verdict], ends[0])
	}
	return ends[0]
}

var verdicts = [...]string{lcore.Drop: "drop", lcore.Forward: "forward", lcore.Punt: "punt"}

// ended repeats a name as often as its counter grew.
func ended(name string, before, after uint64) []string {
	return slices.Repeat([]string{name}, int(after-before))
}

// checkFrame compares the frame after the decision, what was sent and what was punted with what the end of it demands.
func (b *bench) checkFrame(t testing.TB, f, after []byte, end string, sent [][]byte) {
	t.Helper()
	want, forwarded := f, [][]byte(nil)
	if name, ok := strings.CutPrefix(end, "forward "); ok {
		want = rewritten(f, realMAC(int(name[0]-'a')))
		forwarded = [][]byte{want}
	}
	compareFrames(t, "the frame after "+end, after, want)
	if !slices.EqualFunc(sent, forwarded, bytes.Equal) {
		t.Errorf("%s: sent % x, want % x", end, sent, forwarded)
	}
	b.checkPunted(t, f, end)
}

func (b *bench) checkPunted(t testing.TB, f []byte, end string) {
	t.Helper()
	name, ok := strings.CutPrefix(end, "punt ")
	if !ok {
		return
	}
	buf := make([]byte, lcore.RingFrameMax)
	n, kind, ok := b.punts.Take(buf)
	if !ok || b.punts.Len() != 0 || lcore.PuntKind(kind).String() != name {
		t.Errorf("punt ring: got kind %s (%v) and %d more, want one of %s", lcore.PuntKind(kind), ok, b.punts.Len(), name)
	}
	compareFrames(t, "the punted copy", buf[:n], f)
}

// compareFrames tells where two frames differ: the field, got and want.
func compareFrames(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d bytes, want %d", what, len(got), len(want))
		return
	}
	for i := 0; i < len(got); i++ {
		if got[i] != want[i] {
			name, end := field(i)
			end = min(end, len(got))
			t.Errorf("%s: %s: got % x, want % x", what, name, got[i:end], want[i:end])
			i = end - 1
		}
	}
}

// field names the header field at an offset of a frame without IPv4 options, and tells where it ends.
func field(offset int) (name string, end int) {
	for _, f := range []struct {
		end  int
		name string
	}{
		{6, "destination MAC"}, {12, "source MAC"}, {atIP, "EtherType"}, {atIP + 1, "version and IHL"}, {atLength, "TOS"},
		{atLength + 2, "total length"}, {atFragment, "identification"}, {atFragment + 2, "flags and fragment offset"},
		{atProtocol, "TTL"}, {atProtocol + 1, "protocol"}, {atSource, "header checksum"}, {atVIP, "source address"},
		{atL4, "destination address"}, {atL4 + 2, "source L4 port"}, {atL4 + 4, "destination L4 port"},
	} {
		if offset < f.end {
			return f.name, f.end
		}
	}
	return "what follows the L4 ports", 1 << 16
}

func (b *bench) readReals() (reals [32]lcore.RealCounters) {
	for i := range reals {
		reals[i] = b.ReadReal(uint32(i))
	}
	return reals
}

const goldenDir = "testdata/golden"

func (s *story) file(kind string) string { return filepath.Join(goldenDir, s.name+"."+kind+".pcap") }

// captured is a frame in a capture file.
type captured struct {
	at    time.Duration // since the story began
	frame []byte
}

// compare holds frames against a golden file, or writes it.
func (s *story) compare(t *testing.T, kind string, got []captured) {
	t.Helper()
	if *update {
		writePcap(t, s.file(kind), got)
		return
	}
	want := readPcap(t, s.file(kind))
	if len(got) != len(want) {
		t.Fatalf("%s: got %d frames, want %d; if that is meant: go test ./lcore -run Golden -update", s.file(kind), len(got), len(want))
	}
	for i := range got {
		compareFrames(t, s.file(kind), got[i].frame, want[i].frame)
		if got[i].at != want[i].at {
			t.Errorf("%s: frame %d: at %v, want %v", s.file(kind), i+1, got[i].at, want[i].at)
		}
	}
}

// epoch is when the stories begin in the capture files.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func writePcap(t *testing.T, name string, frames []captured) {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriterNanos(&file)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		info := gopacket.CaptureInfo{Timestamp: epoch.Add(f.at), CaptureLength: len(f.frame), Length: len(f.frame)}
		if err := w.WritePacket(info, f.frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(goldenDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readPcap(t *testing.T, name string) (frames []captured) {
	t.Helper()
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v; write it by: go test ./lcore -run Golden -update", err)
	}
	r, err := pcapgo.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, err := r.ReadPacketData()
		if err != nil {
			break
		}
		frames = append(frames, captured{info.Timestamp.Sub(epoch), data})
	}
	return frames
}

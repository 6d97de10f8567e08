package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// The layout of struct report in gen/report.h, where the fields are explained.
const (
	reportMagic   = 0x3174726f70657274
	windowPackets = 16384
	windows       = 1 << 17
)

var faultNames = [...]string{"destination", "source", "packet", "length", "moved"}

type report struct {
	magic uint64
	hz    uint64
	queue [4]reportQueue
}

type reportQueue struct {
	received    uint64
	transmitted uint64
	checked     uint64
	faults      [len(faultNames)]uint64
	polls       uint64
	first       uint64
	windows     uint64
	cycles      [windows]uint32
}

// openReport maps a fresh report file, which the generator port then writes.
func openReport(path string) (*report, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := int(unsafe.Sizeof(report{}))
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return (*report)(unsafe.Pointer(unsafe.SliceData(mem))), nil
}

func (r *report) close() error {
	return syscall.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r)))
}

// steady says whether every known flow's first SYN has been handed out.
func (q *reportQueue) steady() bool {
	done := atomic.LoadUint64(&q.windows)
	return done > 0 && atomic.LoadUint64(&q.first) <= done
}

// Sample is what one process showed: TSC cycles per packet over windows of 16384 packets.
type Sample struct {
	Median  float64 // of the windows: what is judged
	Quiet   float64 // the lowest tenth's bound: while nothing else ran on the CPU
	Mean    float64
	Windows int
	Mpps    float64 // by the median; never judged
	Checked uint64  // transmitted frames that the oracle looked at
	Lost    uint64  // frames handed out and not transmitted
	Burst   float64 // frames per receive call
}

// take makes a Sample of the windows numbered from to until, and fails if a frame was wrong.
func (r *report) take(from, until uint64) (*Sample, error) {
	q := &r.queue[0]
	if until-from > windows {
		from = until - windows
	}
	if until-from < 20 {
		return nil, fmt.Errorf("only %d windows of %d packets were seen: run for longer (-seconds)", until-from, windowPackets)
	}
	costs := make([]float64, 0, until-from)
	sum := 0.0
	for w := from; w < until; w++ {
		cycles := float64(q.cycles[w%windows]) / windowPackets
		costs = append(costs, cycles)
		sum += cycles
	}
	slices.Sort(costs)
	s := &Sample{
		Median: costs[len(costs)/2], Quiet: costs[len(costs)/10], Mean: sum / float64(len(costs)), Windows: len(costs),
		Checked: q.checked, Lost: q.received - min(q.transmitted, q.received), Burst: float64(q.received) / float64(max(q.polls, 1)),
	}
	s.Mpps = float64(r.hz) / s.Median / 1e6
	return s, q.wrong()
}

// wrong is an error if the oracle found a wrong frame, or never looked at one.
func (q *reportQueue) wrong() error {
	var errs []error
	if q.checked == 0 {
		errs = append(errs, errors.New("the oracle saw no frame"))
	}
	for i, n := range q.faults {
		if n > 0 {
			errs = append(errs, fmt.Errorf("the oracle found %d of %d frames wrong: %s", n, q.checked, faultNames[i]))
		}
	}
	return errors.Join(errs...)
}

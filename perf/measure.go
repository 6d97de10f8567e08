package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// Pair is a row's program and, right before it, the floor on the same bed.
type Pair struct {
	Floor, Row *Sample
	Load       float64 // load average, one minute
}

// Result is what the rounds of a row showed.
type Result struct {
	Row     Row
	Pairs   []Pair
	Refused int // pairs left out: their floor was more than a tenth off the median
	Hz      float64

	Floor  float64 // median, TSC cycles per packet
	Adder  float64 // median of the row's cycles less its floor's
	Quiet  float64 // the same of the quiet tenth of the windows
	Lowest float64 // spread of the adder
	Most   float64
}

// ns turns TSC cycles into nanoseconds.
func (r *Result) ns(cycles float64) float64 { return cycles / r.Hz * 1e9 }

// bound is the row's bound in ns, scaled to the floor seen here.
func (r *Result) bound() float64 { return r.Row.Bound * r.ns(r.Floor) / referenceFloor }

// referenceFloor is the floor, in ns, at which a bound in ns holds as it stands.
const referenceFloor = 20.8

// sample runs a program and measures it for a while.
func (m *Machine) sample(cmd *exec.Cmd, path string, warm, length time.Duration, prepare func(*process) error) (*Sample, float64, error) {
	rep, err := openReport(path)
	if err != nil {
		return nil, 0, err
	}
	defer rep.close()
	p, err := start(cmd)
	if err != nil {
		return nil, 0, err
	}
	s, err := m.watch(p, rep, warm, length, prepare)
	return s, float64(rep.hz), errors.Join(err, p.stop())
}

func (m *Machine) watch(p *process, rep *report, warm, length time.Duration, prepare func(*process) error) (*Sample, error) {
	q := &rep.queue[0]
	if prepare != nil {
		if err := prepare(p); err != nil {
			return nil, err
		}
	}
	if err := p.wait(time.Minute, func() bool { return atomic.LoadUint64(&q.windows) > 0 }); err != nil {
		return nil, err
	}
	if m.Boost {
		if err := p.boost(); err != nil {
			return nil, err
		}
	}
	if err := p.wait(time.Minute, q.steady); err != nil {
		return nil, err
	}
	time.Sleep(warm + length/10) // the first samples are dropped
	from := atomic.LoadUint64(&q.windows)
	time.Sleep(length)
	return rep.take(from, atomic.LoadUint64(&q.windows))
}

// pair measures the floor, then the row.
func (m *Machine) pair(r *Row, length time.Duration) (*Pair, float64, error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("perf-report-%d", os.Getpid()))
	defer os.Remove(path)
	floor, _, err := m.sample(m.floor(r.Bed, path), path, 0, length, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("floor: %w", err)
	}
	row, hz, err := m.sample(m.command(r, path), path, r.Warm, length, m.preparation(r))
	if err != nil {
		return nil, 0, err
	}
	return &Pair{floor, row, loadAverage()}, hz, nil
}

// sum works the medians out.
func (r *Result) sum() {
	r.Floor = median(r.Pairs, func(p Pair) float64 { return p.Floor.Median })
	kept := slices.DeleteFunc(slices.Clone(r.Pairs), func(p Pair) bool { return math.Abs(p.Floor.Median-r.Floor) > r.Floor/10 })
	r.Refused = len(r.Pairs) - len(kept)
	adder := func(p Pair) float64 { return p.Row.Median - p.Floor.Median }
	r.Adder = median(kept, adder)
	r.Quiet = median(kept, func(p Pair) float64 { return p.Row.Quiet - p.Floor.Quiet })
	r.Lowest, r.Most = math.Inf(1), math.Inf(-1)
	for _, p := range kept {
		r.Lowest, r.Most = min(r.Lowest, adder(p)), max(r.Most, adder(p))
	}
}

// median is the lower one of an even number, so that one of the pairs has it.
func median(pairs []Pair, of func(Pair) float64) float64 {
	values := make([]float64, len(pairs))
	for i, p := range pairs {
		values[i] = of(p)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

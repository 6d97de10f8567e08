package port

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// spareProcs is how many of Go's processors there are beside one for each lcore: a thread that comes back from a cgo call
// must find a free one at once.
const spareProcs = 4

// CPUs says which CPUs are the lcores' own, and which threads may run there.
type CPUs struct {
	lcores  []int
	others  unix.CPUSet
	threads []atomic.Int32 // of the lcores
}

// Reserve keeps the CPUs of the lcores free: it moves every thread of the process to the others. Threads inherit their
// CPUs, so it is called before EAL starts its own; Sweep mends what slips through.
func Reserve(lcores []int) (*CPUs, error) {
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), len(lcores)+spareProcs))
	others, err := otherCPUs(lcores)
	if err != nil {
		return nil, err
	}
	c := &CPUs{lcores: lcores, others: others, threads: make([]atomic.Int32, len(lcores))}
	return c, eachThread(func(tid int) error { return setAffinity(tid, &c.others) })
}

// otherCPUs are the CPUs that this process may use and that no lcore has.
func otherCPUs(lcores []int) (unix.CPUSet, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return set, fmt.Errorf("read which CPUs this process may use: %w", err)
	}
	for _, cpu := range lcores {
		if !set.IsSet(cpu) {
			return set, fmt.Errorf("dpdk.lcores lists CPU %d, which this process may not use: allow it (taskset, cpuset) or list another", cpu)
		}
		set.Clear(cpu)
	}
	if set.Count() == 0 {
		return set, errors.New("dpdk.lcores takes every CPU of this process: leave at least one for the management")
	}
	return set, nil
}

// Claim makes the calling thread that of the lcore with this index.
func (c *CPUs) Claim(index int) { c.threads[index].Store(int32(unix.Gettid())) }

func (c *CPUs) claimed(tid int) bool {
	for i := range c.threads {
		if int(c.threads[i].Load()) == tid {
			return true
		}
	}
	return false
}

// Sweep moves every thread that may run on an lcore's CPU and is not that lcore's to the other CPUs. It answers how many
// it had to move.
func (c *CPUs) Sweep() (moved int, err error) {
	err = eachThread(func(tid int) error {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &set); err != nil || c.claimed(tid) || !slices.ContainsFunc(c.lcores, set.IsSet) {
			return nil // gone, or where it belongs
		}
		moved++
		return setAffinity(tid, &c.others)
	})
	return moved, err
}

func setAffinity(tid int, set *unix.CPUSet) error {
	if err := unix.SchedSetaffinity(tid, set); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("move thread %d away from the lcores' CPUs: %w", tid, err)
	}
	return nil
}

func eachThread(do func(tid int) error) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list the threads of this process: %w", err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		if err := do(tid); err != nil {
			return err
		}
	}
	return nil
}

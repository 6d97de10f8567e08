package eal_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/yerden/go-dpdk/eal"
	"github.com/yerden/go-dpdk/internal/ealtest"
)

// The tests in this file that start EAL themselves do it in a process of their
// own, for DPDK starts once in a process.
func TestMain(m *testing.M) {
	if ealtest.IsChild() {
		os.Exit(m.Run())
	}
	ealtest.Main(m)
}

func nothing(*eal.LcoreCtx) {}

func TestInitRunStopCleanup(t *testing.T) {
	if !ealtest.InChild(t) {
		return
	}
	if err := eal.ExecOnLcore(0, nothing); err != eal.ErrLcoreInvalid {
		t.Errorf("before Init: %v, want ErrLcoreInvalid", err)
	}
	if err := eal.Cleanup(); err == nil || !strings.Contains(err.Error(), "eal.Init") {
		t.Errorf("Cleanup before Init: %v, want advice to call it", err)
	}
	eal.StopLcores()

	args := ealtest.Args()
	n, err := eal.Init(append(args, "--", "-app", "file"))
	if want := len(args); n != want || err != nil { // "--" is consumed, the name is not counted
		t.Fatalf("Init = %d, %v; want %d", n, err, want)
	}

	release, last := make(chan struct{}), false
	first := eal.ExecOnLcoreAsync(1, nil, func(*eal.LcoreCtx) { <-release })
	second := eal.ExecOnLcoreAsync(1, nil, func(*eal.LcoreCtx) { last = true })
	go close(release)
	eal.StopLcores()
	if !last {
		t.Error("StopLcores did not wait for the functions given before it")
	}
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
	for id := range uint(2) {
		if err := eal.ExecOnLcore(id, nothing); err != eal.ErrLcoreInvalid {
			t.Errorf("lcore %d after StopLcores: %v, want ErrLcoreInvalid", id, err)
		}
	}

	if err := eal.Cleanup(); err != nil {
		t.Errorf("Cleanup: %v", err)
	}
	if err := eal.Cleanup(); err == nil {
		t.Error("a second Cleanup succeeded")
	}
}

func TestInitRefusesBadArguments(t *testing.T) {
	if !ealtest.InChild(t) {
		return
	}
	_, err := eal.Init([]string{"test", "--no-such-option"})
	if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), `["--no-such-option"]`) ||
		!strings.Contains(err.Error(), syscall.EINVAL.Error()) {
		t.Errorf("Init = %v, want EINVAL in words with the arguments", err)
	}
	if err := eal.ExecOnLcore(0, nothing); err != eal.ErrLcoreInvalid {
		t.Errorf("after a failed Init: %v, want ErrLcoreInvalid", err)
	}
}

func TestPanicEndsTheProcess(t *testing.T) {
	if ealtest.IsChild() {
		if _, err := eal.Init(ealtest.Args()); err != nil {
			t.Fatal(err)
		}
		eal.ExecOnLcore(1, func(*eal.LcoreCtx) { panic("left alone") })
		return
	}
	out, err := ealtest.Child(t)
	if err == nil || !strings.Contains(string(out), "panic: left alone") {
		t.Errorf("the process ended with %v, and printed\n%s", err, out)
	}
}

func TestSecondInitIsRefused(t *testing.T) {
	if _, err := eal.Init([]string{"again", "--no-huge"}); !errors.Is(err, syscall.EALREADY) {
		t.Errorf("second Init: %v, want EALREADY", err)
	}
	if err := eal.ExecOnLcore(1, nothing); err != nil {
		t.Errorf("a refused Init stopped lcore 1: %v", err)
	}
}

func TestInitWithoutAName(t *testing.T) {
	if _, err := eal.Init(nil); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Init without a program name: %v, want EINVAL", err)
	}
}

// Go starts threads when goroutines block; started from an lcore they would be
// pinned as it is.
func TestGoThreadsAreNotPinned(t *testing.T) {
	if runtime.NumCPU() < 2 {
		ealtest.Missing(t, "telling pinned threads from others needs two CPUs")
	}
	if !ealtest.InChild(t) { // a process with few threads yet
		return
	}
	if _, err := eal.Init(ealtest.Args()); err != nil {
		t.Fatal(err)
	}
	const naps = 16
	runtime.GOMAXPROCS(naps + 4) // a free P for each, so that its thread is wanted at once
	var wg sync.WaitGroup
	for _, id := range eal.Lcores() {
		eal.ExecOnLcore(id, func(*eal.LcoreCtx) { blockThreads(&wg, naps) })
	}
	if pinned := threadsOn(t, "0"); len(pinned) != len(eal.Lcores()) {
		t.Errorf("threads pinned to CPU 0: %q, want only the %d lcores", pinned, len(eal.Lcores()))
	}
	wg.Wait()
}

// blockThreads keeps n threads in system calls for 100 ms. It stays on its own
// thread meanwhile, so that this is the one that asks for each.
func blockThreads(wg *sync.WaitGroup, n int) {
	for range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			syscall.Nanosleep(&syscall.Timespec{Nsec: 100e6}, nil)
		}()
		for start := time.Now(); time.Since(start) < time.Millisecond; {
		}
	}
}

// threadsOn returns the names of this process's threads whose CPU list is cpus.
func threadsOn(t *testing.T, cpus string) (names []string) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no threads in /proc/self/task: %v", err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) { // a thread may end
			t.Fatal(err)
		}
		if s := string(status); strings.Contains(s, "Cpus_allowed_list:\t"+cpus+"\n") {
			name, _, _ := strings.Cut(s, "\n")
			names = append(names, strings.TrimPrefix(name, "Name:\t"))
		}
	}
	return names
}

package eal

/*
#cgo pkg-config: libdpdk
#include <errno.h>
#include <stdlib.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>

extern int go_eal_listen(void *);

// rte_errno is thread-local: it must be read before Go can change threads.
static int eal_init(int argc, char **argv)
{
	int n = rte_eal_init(argc, argv);

	if (n < 0)
		errno = rte_errno ? rte_errno : EIO;
	return n;
}

static int eal_launch(unsigned int lcore)
{
	return rte_eal_remote_launch(go_eal_listen, NULL, lcore);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/yerden/go-dpdk/internal/errno"
)

var errNotInitialised = errors.New("EAL is not initialised: call eal.Init first")

// process is EAL between Init and Cleanup.
type process struct {
	lcores  map[uint]*lcore
	cleanup chan chan error // to the main lcore's thread
}

// current is nil before Init and after Cleanup.
var current atomic.Pointer[process]

type initResult struct {
	n   int
	err error
}

// Init starts EAL. args[0] is the program name. It returns how many of the
// arguments after it EAL consumed. Afterwards every lcore waits for work. The
// caller's thread keeps its CPU affinity: the main lcore is a thread of its own.
//
// The error wraps rte_errno as a syscall.Errno; EAL's own log has the details.
func Init(args []string) (n int, err error) {
	started := make(chan initResult)
	go runMain(args, started)
	r := <-started
	return r.n, r.err
}

// Cleanup stops the lcores as StopLcores does and releases what EAL holds.
// DPDK cannot be initialised again in the same process.
func Cleanup() error {
	StopLcores()
	p := current.Swap(nil)
	if p == nil {
		return errNotInitialised
	}
	reply := make(chan error)
	p.cleanup <- reply
	return <-reply
}

// HasHugePages reports whether EAL uses hugepages.
func HasHugePages() bool { return C.rte_eal_has_hugepages() != 0 }

// HasPCI reports whether EAL looks for PCI devices.
func HasPCI() bool { return C.rte_eal_has_pci() != 0 }

// runMain is the main lcore's life. rte_eal_init pins the calling thread to
// main_lcore, so the goroutine never unlocks it: the thread ends with it.
func runMain(args []string, started chan<- initResult) {
	runtime.LockOSThread()
	n, err := initEAL(args)
	if err != nil {
		started <- initResult{0, err}
		return
	}
	p := &process{lcores: newLcores(), cleanup: make(chan chan error)}
	current.Store(p)
	err = launchWorkers(p.lcores)
	started <- initResult{n, err}
	p.lcores[GetMainLcore()].listen()
	reply := <-p.cleanup
	reply <- errno.From(int(C.rte_eal_cleanup()))
}

func initEAL(args []string) (int, error) {
	if len(args) == 0 {
		return 0, fmt.Errorf("no program name in EAL arguments: %w", syscall.EINVAL)
	}
	n, err := C.eal_init(C.int(len(args)), cArgv(args))
	if n < 0 {
		return 0, fmt.Errorf("initialise EAL with %q: %w (see EAL's log above)", args[1:], err)
	}
	return int(n), nil
}

// cArgv copies args to C memory. It is never freed: EAL permutes argv and may
// keep pointers into it for the life of the process.
func cArgv(args []string) **C.char {
	argv := (**C.char)(C.calloc(C.size_t(len(args)+1), C.size_t(unsafe.Sizeof(uintptr(0)))))
	for i, out := 0, unsafe.Slice(argv, len(args)); i < len(args); i++ {
		out[i] = C.CString(args[i])
	}
	return argv
}

// launchWorkers makes every worker listen. One that cannot counts as stopped,
// so that Cleanup does not wait for it.
func launchWorkers(lcores map[uint]*lcore) (err error) {
	for _, id := range LcoresWorker() {
		if e := errno.From(int(C.eal_launch(C.uint(id)))); e != nil {
			lcores[id].stop()
			close(lcores[id].done)
			err = errors.Join(err, fmt.Errorf("launch lcore %d: %w", id, e))
		}
	}
	return err
}

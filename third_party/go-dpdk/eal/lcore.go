package eal

/*
#include <rte_lcore.h>
*/
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"
)

// ErrLcoreInvalid is returned for an id that is no lcore of EAL, or one that
// no longer listens.
var ErrLcoreInvalid = fmt.Errorf("Invalid logical core")

// LcoreCtx belongs to one lcore and is handed to every function that runs on
// it. Only such a function may use it.
type LcoreCtx struct {
	// Value is the caller's own; it outlives the function that sets it.
	Value interface{}

	id uint
}

func (ctx *LcoreCtx) String() string { return fmt.Sprintf("lcore %d", ctx.id) }

// ExecOnLcoreAsync queues fn for lcoreID and returns at once. fn's outcome is
// sent to ret, or to a new channel when ret is nil: nil, an *ErrLcorePanic, or
// ErrLcoreInvalid. An lcore cannot go on until an unbuffered ret is received.
func ExecOnLcoreAsync(lcoreID uint, ret chan error, fn func(*LcoreCtx)) <-chan error {
	if ret == nil {
		ret = make(chan error, 1)
	}
	if !submit(lcoreID, job{fn, ret}) {
		go func() { ret <- ErrLcoreInvalid }()
	}
	return ret
}

// ExecOnLcore runs fn on lcoreID and waits for it. Called from a function on
// that same lcore it never returns.
func ExecOnLcore(lcoreID uint, fn func(*LcoreCtx)) error {
	return <-ExecOnLcoreAsync(lcoreID, nil, fn)
}

// ExecOnMainAsync is ExecOnLcoreAsync on the main lcore.
func ExecOnMainAsync(ret chan error, fn func(*LcoreCtx)) <-chan error {
	return ExecOnLcoreAsync(GetMainLcore(), ret, fn)
}

// ExecOnMain is ExecOnLcore on the main lcore.
func ExecOnMain(fn func(*LcoreCtx)) error {
	return ExecOnLcore(GetMainLcore(), fn)
}

// StopLcores lets every lcore finish what it was given, main lcore included,
// and waits for them. Functions given later get ErrLcoreInvalid.
func StopLcores() {
	p := current.Load()
	if p == nil {
		return
	}
	for _, l := range p.lcores {
		l.stop()
	}
	for _, l := range p.lcores {
		<-l.done
	}
}

// Lcores returns the ids of all lcores, main lcore included, ascending.
func Lcores() []uint { return lcoreIDs(false) }

// LcoresWorker returns the ids of all lcores but the main one, ascending.
func LcoresWorker() []uint { return lcoreIDs(true) }

// LcoreCount returns the number of lcores, main lcore included.
func LcoreCount() uint { return uint(C.rte_lcore_count()) }

// GetMainLcore returns the main lcore's id.
func GetMainLcore() uint { return uint(C.rte_get_main_lcore()) }

// LcoreID returns the calling thread's lcore id, or LCORE_ID_ANY (all 32 bits
// set) outside lcores.
func LcoreID() uint { return uint(C.rte_lcore_id()) }

// SocketID returns the calling thread's NUMA node.
func SocketID() uint { return uint(C.rte_socket_id()) }

// LcoreToSocket returns the NUMA node of lcore id.
func LcoreToSocket(id uint) uint { return uint(C.rte_lcore_to_socket_id(C.uint(id))) }

func lcoreIDs(skipMain bool) (ids []uint) {
	var skip C.int
	if skipMain {
		skip = 1
	}
	none := ^C.uint(0) // wraps to lcore 0
	for id := C.rte_get_next_lcore(none, skip, 0); id < C.RTE_MAX_LCORE; id = C.rte_get_next_lcore(id, skip, 0) {
		ids = append(ids, uint(id))
	}
	return ids
}

// job is a function and where its outcome goes.
type job struct {
	fn  func(*LcoreCtx)
	ret chan<- error
}

// lcore is the queue in front of one EAL thread. It has no bound: a caller
// never waits behind a worker that polls for ever.
type lcore struct {
	ctx  LcoreCtx
	done chan struct{} // closed when listen returns

	mu      sync.Mutex
	changed sync.Cond
	jobs    []job
	stopped bool
}

func newLcores() map[uint]*lcore {
	lcores := make(map[uint]*lcore)
	for _, id := range Lcores() {
		l := &lcore{ctx: LcoreCtx{id: id}, done: make(chan struct{})}
		l.changed.L = &l.mu
		lcores[id] = l
	}
	return lcores
}

func submit(id uint, j job) bool {
	p := current.Load()
	if p == nil {
		return false
	}
	l, ok := p.lcores[id]
	return ok && l.submit(j)
}

func (l *lcore) submit(j job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	l.jobs = append(l.jobs, j)
	l.changed.Signal()
	return true
}

func (l *lcore) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.changed.Signal()
}

// next waits for a job; false means stopped with none left.
func (l *lcore) next() (j job, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.jobs) == 0 && !l.stopped {
		l.changed.Wait()
	}
	if len(l.jobs) == 0 {
		return job{}, false
	}
	j, l.jobs = l.jobs[0], l.jobs[1:]
	return j, true
}

func (l *lcore) listen() {
	defer close(l.done)
	for j, ok := l.next(); ok; j, ok = l.next() {
		j.ret <- l.call(j.fn)
	}
}

func (l *lcore) call(fn func(*LcoreCtx)) (err error) {
	if PanicAsErr {
		defer func() { err = recovered(l.ctx.id, recover()) }()
	}
	fn(&l.ctx)
	return nil
}

// go_eal_listen is what EAL runs on each worker's thread. A thread that Go
// starts while it runs here would inherit the lcore's CPU; LockOSThread makes
// Go start threads elsewhere.
//
//export go_eal_listen
func go_eal_listen(unsafe.Pointer) C.int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	current.Load().lcores[LcoreID()].listen()
	return 0
}

package eal

import (
	"fmt"
	"io"
	"runtime"
)

// PanicAsErr makes a panic on an lcore come back as an *ErrLcorePanic; false
// lets it end the process. Set it before functions are given to lcores.
var PanicAsErr = false

// ErrLcorePanic is a panic recovered on an lcore.
type ErrLcorePanic struct {
	// Pc is the stack at the panic, innermost call first.
	Pc []uintptr
	// LcoreID is where it happened.
	LcoreID uint
	// R is the value given to panic.
	R interface{}
}

func (e *ErrLcorePanic) Error() string {
	return fmt.Sprintf("panic on lcore %d: %v", e.LcoreID, e.R)
}

// Unwrap returns R if it is an error, else nil.
func (e *ErrLcorePanic) Unwrap() error {
	err, _ := e.R.(error)
	return err
}

// FprintStack writes the stack at the panic to w, two lines per call.
func (e *ErrLcorePanic) FprintStack(w io.Writer) {
	frames := runtime.CallersFrames(e.Pc)
	for more := len(e.Pc) > 0; more; {
		var f runtime.Frame
		f, more = frames.Next()
		fmt.Fprintf(w, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
	}
}

const maxStackDepth = 64

// recovered returns nil for the nil that recover gives when nothing panicked.
func recovered(lcoreID uint, r interface{}) error {
	if r == nil {
		return nil
	}
	const skip = 3 // runtime.Callers, recovered, call's deferred function
	pc := make([]uintptr, maxStackDepth)
	return &ErrLcorePanic{Pc: pc[:runtime.Callers(skip, pc)], LcoreID: lcoreID, R: r}
}

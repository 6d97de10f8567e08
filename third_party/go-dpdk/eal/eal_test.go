package eal_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/yerden/go-dpdk/eal"
)

const noLcore = 1<<32 - 1 // LCORE_ID_ANY

func TestLcores(t *testing.T) {
	check := func(name string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	check("Lcores", eal.Lcores(), []uint{0, 1})
	check("LcoresWorker", eal.LcoresWorker(), []uint{1})
	check("LcoreCount", eal.LcoreCount(), uint(2))
	check("GetMainLcore", eal.GetMainLcore(), uint(0))
	check("LcoreToSocket", eal.LcoreToSocket(1), uint(0))
	check("HasHugePages", eal.HasHugePages(), false)
	check("HasPCI", eal.HasPCI(), false)
	check("LcoreID outside lcores", eal.LcoreID(), uint(noLcore))
}

func TestExecRunsOnTheLcoreItself(t *testing.T) {
	for _, id := range eal.Lcores() {
		var got, socket uint
		var name string
		err := eal.ExecOnLcore(id, func(ctx *eal.LcoreCtx) {
			got, socket, name = eal.LcoreID(), eal.SocketID(), ctx.String()
		})
		if err != nil || got != id || socket != eal.LcoreToSocket(id) || name != fmt.Sprint("lcore ", id) {
			t.Errorf("on lcore %d: lcore id %d, socket %d, context %q, error %v", id, got, socket, name, err)
		}
	}
	got := uint(noLcore)
	if err := eal.ExecOnMain(func(*eal.LcoreCtx) { got = eal.LcoreID() }); err != nil || got != eal.GetMainLcore() {
		t.Errorf("ExecOnMain ran on lcore %d, error %v", got, err)
	}
}

func TestExecKeepsOrderAndContext(t *testing.T) {
	const n = 100
	var ran []int
	ret := make(chan error, n)
	for i := range n {
		eal.ExecOnLcoreAsync(1, ret, func(ctx *eal.LcoreCtx) {
			before, _ := ctx.Value.(int)
			ctx.Value = before + i
			ran = append(ran, i)
		})
	}
	for range n {
		if err := <-ret; err != nil {
			t.Fatal(err)
		}
	}
	for i, got := range ran {
		if got != i {
			t.Fatalf("function %d ran as number %d", got, i)
		}
	}
	var sum any
	eal.ExecOnLcore(1, func(ctx *eal.LcoreCtx) { sum, ctx.Value = ctx.Value, nil })
	if sum != n*(n-1)/2 {
		t.Errorf("context kept %v, want %d", sum, n*(n-1)/2)
	}
}

func TestExecAsyncDoesNotWaitForABusyLcore(t *testing.T) {
	release := make(chan struct{})
	first := eal.ExecOnLcoreAsync(1, nil, func(*eal.LcoreCtx) { <-release })
	second := eal.ExecOnLcoreAsync(1, nil, nothing)
	third := eal.ExecOnMainAsync(nil, nothing)
	if err := <-third; err != nil {
		t.Error(err)
	}
	select {
	case <-second:
		t.Error("two functions ran on one lcore at once")
	default:
	}
	close(release)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
}

func TestExecOnAnUnknownLcore(t *testing.T) {
	ran := false
	fn := func(*eal.LcoreCtx) { ran = true }
	if err := eal.ExecOnLcore(7, fn); err != eal.ErrLcoreInvalid {
		t.Errorf("ExecOnLcore(7) = %v, want ErrLcoreInvalid", err)
	}
	unbuffered := make(chan error)
	if err := <-eal.ExecOnLcoreAsync(7, unbuffered, fn); err != eal.ErrLcoreInvalid {
		t.Errorf("ExecOnLcoreAsync(7) = %v, want ErrLcoreInvalid", err)
	}
	if ran {
		t.Error("a function for an unknown lcore ran")
	}
}

func TestPanicComesBackAsError(t *testing.T) {
	eal.PanicAsErr = true
	defer func() { eal.PanicAsErr = false }()
	cause := errors.New("cause")
	err := eal.ExecOnLcore(1, func(*eal.LcoreCtx) { explode(cause) })
	var p *eal.ErrLcorePanic
	if !errors.As(err, &p) {
		t.Fatalf("ExecOnLcore = %v, want an *ErrLcorePanic", err)
	}
	if p.LcoreID != 1 || p.R != cause || !errors.Is(err, cause) || err.Error() != "panic on lcore 1: cause" {
		t.Errorf("got lcore %d, value %v, text %q", p.LcoreID, p.R, err)
	}
	var stack bytes.Buffer
	p.FprintStack(&stack)
	if !strings.Contains(stack.String(), "eal_test.explode") || !strings.Contains(stack.String(), "eal_test.go:") {
		t.Errorf("the stack does not show where the panic was:\n%s", &stack)
	}
	if err := eal.ExecOnLcore(1, func(*eal.LcoreCtx) { panic("text") }); errors.Unwrap(err) != nil {
		t.Errorf("a panic that is no error unwraps to %v", errors.Unwrap(err))
	}
	if err := eal.ExecOnLcore(1, nothing); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

//go:noinline
func explode(cause error) { panic(cause) }

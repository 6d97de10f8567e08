// Command loop runs a worker of turnout's data plane, and nothing else of it, on the harness's bed: services and real
// servers come from flags, and the loop can be had without its parts. It forwards until its standard input ends, then
// prints what it counted as JSON.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/yerden/go-dpdk/eal"

	"turnout/lcore"
	"turnout/lcore/port"
)

// options are the flags.
type options struct {
	device   string
	main     int
	lcore    int
	memoryMB int
	ealArgs  string
	mode     string
	entries  int
	bed      bed
	churn    bool
}

func parseOptions() *options {
	var o options
	flag.StringVar(&o.device, "device", "", "DPDK device: a vdev string or a PCI address")
	flag.IntVar(&o.main, "main-lcore", 0, "CPU of everything but the loop")
	flag.IntVar(&o.lcore, "lcore", 1, "CPU of the loop")
	flag.IntVar(&o.memoryMB, "memory-mb", 256, "DPDK's memory")
	flag.StringVar(&o.ealArgs, "eal-args", "", "arguments for EAL, separated by blanks")
	flag.StringVar(&o.mode, "mode", "", "swap: swap the MACs instead of forwarding, which is what the loop alone costs")
	flag.IntVar(&o.entries, "entries", 1<<20, "flows of the flow table")
	flag.IntVar(&o.bed.services, "services", 1, "virtual services")
	flag.IntVar(&o.bed.reals, "reals", 16, "real servers of each")
	flag.DurationVar(&o.bed.timeout, "timeout", 0, "of every state instead of IPVS's; for runs of many time-outs")
	flag.BoolVar(&o.churn, "churn", false, "change weights, copy counters and collect garbage ten times a second each")
	flag.Parse()
	return &o
}

func main() {
	if err := run(parseOptions()); err != nil {
		fmt.Fprintln(os.Stderr, "loop:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	cpus, err := port.Reserve([]int{o.lcore})
	if err != nil {
		return err
	}
	err = port.StartEAL(port.EALConfig{
		MainLcore: o.main, Lcores: []int{o.lcore}, Hugepages: true, MemoryMB: o.memoryMB, Devices: []string{o.device}, Args: strings.Fields(o.ealArgs),
	})
	if err != nil {
		return err
	}
	p, err := port.Open(port.Config{
		Name: "perf", Device: o.device, MTU: 1500, Lcores: []int{o.lcore}, RxDescriptors: 1024, TxDescriptors: 1024, MemoryMB: o.memoryMB,
	})
	if err != nil {
		return err
	}
	o.bed.portMAC = p.MAC()
	l, err := o.start(p, cpus)
	if err == nil {
		err = l.forward()
	}
	p.Close()
	return errors.Join(err, port.StopEAL())
}

// looper is what runs on the lcore: a worker, or a swapper.
type looper interface {
	Run()
	Stop()
}

// loop is a looper at work.
type loop struct {
	looper
	worker *lcore.Worker // nil in mode swap
	bed    *bed
	churn  bool
	ended  <-chan error
}

// start makes the loop on its lcore and leaves it polling.
func (o *options) start(p *port.Port, cpus *port.CPUs) (*loop, error) {
	queue := p.Queue(nil)
	if err := p.Start(); err != nil {
		return nil, err
	}
	l := &loop{bed: &o.bed, churn: o.churn}
	made := make(chan error, 1)
	l.ended = eal.ExecOnLcoreAsync(uint(o.lcore), nil, func(*eal.LcoreCtx) {
		cpus.Claim(0)
		err := l.make(o, queue)
		made <- err
		if err == nil {
			l.Run()
		}
	})
	if err := <-made; err != nil {
		return nil, err
	}
	_, err := cpus.Sweep()
	return l, err
}

func (l *loop) make(o *options, queue lcore.Queue) error {
	burst, err := lcore.NewBurst()
	if err != nil {
		return err
	}
	if o.mode == "swap" {
		l.looper = &swapper{queue: queue, burst: burst}
		return nil
	}
	punts, err := lcore.NewRing(64)
	if err != nil {
		return err
	}
	l.worker, err = lcore.New(lcore.Config{
		Queue: queue, Punt: punts, Burst: burst, TSCHz: port.TSCHz(), Flows: o.entries, FlowKey: [2]uint64{0x6f1d, 0x9b27},
	})
	if err != nil {
		return err
	}
	l.looper = l.worker
	return l.publish(0)
}

// publish puts the bed's services in force.
func (l *loop) publish(generation int) error {
	spec, err := l.bed.spec(generation)
	if err == nil {
		l.worker.Publish(lcore.Compile(spec))
	}
	return err
}

// forward waits for the end of the standard input, stops the loop and tells what it counted.
func (l *loop) forward() error {
	stop := make(chan struct{})
	churned := make(chan error, 1)
	go func() { churned <- l.disturb(stop) }()
	_, _ = io.Copy(io.Discard, os.Stdin) // an error ends the run as the end of input does
	close(stop)
	err := <-churned
	l.Stop()
	select {
	case ended := <-l.ended:
		return errors.Join(err, ended, l.tell())
	case <-time.After(time.Second):
		return errors.Join(err, errors.New("the lcore does not leave its loop"))
	}
}

func (l *loop) tell() error {
	var told struct {
		lcore.Counters
		Backing string
		TSCHz   uint64
	}
	told.TSCHz = port.TSCHz()
	if l.worker != nil {
		told.Counters, told.Backing = l.worker.ReadCounters(), l.worker.FlowBacking()
	}
	return json.NewEncoder(os.Stdout).Encode(told)
}

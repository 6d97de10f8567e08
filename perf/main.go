// Command perf measures what turnout costs per packet over dpdk-testpmd's macswap on the same port. README.md tells how
// to read what it writes to perf/results.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	machine Machine
	quick   bool
	rounds  int
	length  time.Duration
	only    string
	out     string
}

func parseOptions() (*options, error) {
	o := &options{}
	root, err := os.Getwd()
	o.machine.Root = root
	flag.IntVar(&o.machine.MainLcore, "main-lcore", 0, "CPU of everything but the loop")
	flag.IntVar(&o.machine.Lcore, "lcore", 1, "CPU of the loop")
	flag.BoolVar(&o.machine.Boost, "boost", true, "have the kernel prefer what is measured to all else")
	flag.IntVar(&o.machine.Sample, "sample", 256, "the oracle looks at one transmitted frame of so many; 1 is a check run, not a measurement")
	flag.BoolVar(&o.quick, "quick", false, "the steps S0 to S5 only, in 3 rounds")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds; 0: 5, with -quick 3")
	flag.DurationVar(&o.length, "length", 2*time.Second, "of one measurement")
	flag.StringVar(&o.only, "only", "", "regular expression of the rows to measure")
	flag.StringVar(&o.out, "out", "perf/results", "folder of the results")
	flag.Parse()
	if o.rounds == 0 {
		o.rounds = map[bool]int{true: 3, false: 5}[o.quick]
	}
	return o, err
}

func (o *options) rows() ([]Row, error) {
	all := matrix()
	if o.quick {
		all = quick()
	}
	only, err := regexp.Compile("^(" + o.only + ")")
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, r := range all {
		if only.MatchString(r.Name) {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func main() {
	o, err := parseOptions()
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "perf:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	rows, err := o.rows()
	if err != nil {
		return err
	}
	restore, err := reserveHugepages(hugepages(rows))
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	host := describeHost(o.machine.Root)
	runtime.LockOSThread() // programs die with the thread that started them
	results, err := o.measure(rows, stop)
	host.Load[1] = loadAverage()
	if len(results) > 0 {
		host.TSCHz = results[0].Hz
		err = errors.Join(err, write(o.folder(), host, results))
	}
	return errors.Join(err, restore())
}

// hugepages is how many pages of 2 MB the largest row needs: DPDK's 256 MB and the flow table.
func hugepages(rows []Row) int {
	n := 0
	for _, r := range rows {
		n = max(n, r.Entries*64>>21)
	}
	return n + 128 + 64 // and some to spare for others
}

// measure goes round all rows, so that what changes in the machine meanwhile meets all of them. A signal ends it early.
func (o *options) measure(rows []Row, stop <-chan os.Signal) ([]*Result, error) {
	results := make([]*Result, len(rows))
	for i := range rows {
		results[i] = &Result{Row: rows[i]}
	}
	for round := range o.rounds {
		for _, r := range results {
			pair, hz, err := o.machine.pair(&r.Row, o.length)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.Row.Name, err)
			}
			r.Hz, r.Pairs = hz, append(r.Pairs, *pair)
			r.sum()
			fmt.Printf("round %d  %-12s floor %6.1f  row %6.1f  adder %6.1f cycles (%5.1f ns; quiet %5.1f ns)  load %.1f\n", round+1, r.Row.Name,
				pair.Floor.Median, pair.Row.Median, pair.Row.Median-pair.Floor.Median, r.ns(pair.Row.Median-pair.Floor.Median),
				r.ns(pair.Row.Quiet-pair.Floor.Quiet), pair.Load)
			select {
			case <-stop:
				return nil, errors.New("interrupted")
			default:
			}
		}
	}
	return results, nil
}

// folder is where the results go; a relative one is relative to the repository.
func (o *options) folder() string {
	if filepath.IsAbs(o.out) {
		return o.out
	}
	return filepath.Join(o.machine.Root, o.out)
}

package main

import (
	"fmt"
	"time"
)

// Bed is the traffic of a row, and the services it goes to.
type Bed struct {
	Flows    int     // known flows, one SYN each first
	New      float64 // percent of packets that are the SYN of a flow never seen
	Zipf     float64 // exponent of the flows' popularity; 0: all alike
	Size     string  // frame length in bytes with the checksum, or imix
	Services int
	Reals    int // of each service
}

// device is the generator port for this bed.
func (b Bed) device(reportPath, expect string, sample int) string {
	return fmt.Sprintf("net_gen0,flows=%d,new=%g,zipf=%g,size=%s,services=%d,reals=%d,expect=%s,sample=%d,report=%s",
		b.Flows, b.New, b.Zipf, b.Size, b.Services, b.Reals, expect, sample, reportPath)
}

// Row is one thing measured: a program on a bed.
type Row struct {
	Name    string
	Title   string
	Program string // loop, twin or turnout
	Bed     Bed
	Mode    string        // of the loop and the twin: swap, stateless, or empty for all of it
	Entries int           // of the flow table
	Timeout time.Duration // of every state; 0: IPVS's
	Warm    time.Duration // before it is measured: longer than three time-outs where flows expire
	Bound   float64       // ns over the floor, at a floor of 20.8 ns; 0: none
	Goal    float64       // TSC cycles over the floor; 0: none
}

const million = 1 << 20

// plain is the bed that others are variations of.
var plain = Bed{Flows: 65536, Size: "64", Services: 1, Reals: 16}

func (b Bed) with(change func(*Bed)) Bed {
	change(&b)
	return b
}

func flows(n int) Bed        { return plain.with(func(b *Bed) { b.Flows = n }) }
func share(new float64) Bed  { return flows(million).with(func(b *Bed) { b.New = new }) }
func reals(n int) Bed        { return flows(million).with(func(b *Bed) { b.Reals = n }) }
func services(n int) Bed     { return flows(million).with(func(b *Bed) { b.Services = n }) }
func frames(size string) Bed { return flows(million).with(func(b *Bed) { b.Size = size }) }

var allNew = plain.with(func(b *Bed) { b.Flows, b.New = 0, 100 })

// steps are the rows S0 to S5.
func steps() []Row {
	expiring := 250 * time.Millisecond
	return []Row{
		{Name: "S0", Title: "MAC swap", Mode: "swap", Bed: plain, Bound: 5, Goal: 10},
		{Name: "S2", Title: "64 k flows", Bed: plain, Entries: million, Bound: 25, Goal: 40},
		{Name: "S3", Title: "1 M flows", Bed: flows(million), Entries: million, Bound: 40, Goal: 60},
		{Name: "S4", Title: "10 M flows", Bed: flows(10e6), Entries: 10e6, Bound: 55, Goal: 80},
		{Name: "S5", Title: "all new, expiring", Bed: allNew, Entries: 8 * million, Timeout: expiring, Warm: 4 * expiring, Bound: 80, Goal: 110},
		{Name: "S5-full", Title: "all new, table full", Bed: allNew, Entries: million, Warm: time.Second},
	}
}

// twins are the C twin's rows beside those of Go.
func twins(rows []Row) []Row {
	var out []Row
	for _, r := range rows {
		r.Name, r.Title, r.Program = r.Name+"-C", r.Title+", C twin", "twin"
		r.Bound, r.Goal = 0, 0
		out = append(out, r)
	}
	return out
}

// quick are the steps, in Go and in C.
func quick() []Row {
	var rows []Row
	for i, r := range steps() {
		rows = append(append(rows, r), twins(steps()[i:i+1])...)
	}
	return named(rows)
}

// matrix is all there is: the steps, the appliance itself, and the axes, one after another.
func matrix() []Row {
	rows := quick()
	rows = append(rows, Row{Name: "turnout-S2", Title: "64 k flows, bin/turnout", Program: "turnout", Bed: plain, Entries: million},
		Row{Name: "turnout-S3", Title: "1 M flows, bin/turnout", Program: "turnout", Bed: flows(million), Entries: million})
	axis := func(name string, bed Bed) {
		rows = append(rows, Row{Name: name, Title: name, Bed: bed, Entries: 4 * million})
	}
	for _, n := range []int{1, 1000} {
		axis(fmt.Sprintf("flows-%d", n), flows(n))
	}
	axis("zipf-1.1", flows(million).with(func(b *Bed) { b.Zipf = 1.1 }))
	for _, percent := range []float64{1, 10} {
		axis(fmt.Sprintf("new-%g%%", percent), share(percent))
	}
	for _, n := range []int{4, 16, 100, 1000} {
		axis(fmt.Sprintf("reals-%d", n), reals(n))
	}
	for _, n := range []int{100, 1000} {
		axis(fmt.Sprintf("services-%d", n), services(n))
	}
	for _, size := range []string{"imix", "1518"} {
		axis("frames-"+size, frames(size))
	}
	return named(rows)
}

// named gives the rows without one the program that most have.
func named(rows []Row) []Row {
	for i := range rows {
		if rows[i].Program == "" {
			rows[i].Program = "loop"
		}
	}
	return rows
}

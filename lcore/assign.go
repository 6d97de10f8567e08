package lcore

import (
	"errors"
	"strconv"
)

// CPU is a CPU that polls, and the NUMA node it is on.
type CPU struct{ ID, Socket int }

// Device is a port's device: how many queue pairs it has, its NUMA node, and whether it spreads flows over receive
// queues by itself (RSS).
type Device struct {
	Name   string
	Queues int
	Socket int
	RSS    bool
}

// Assign gives every lcore a receive queue of the port: the queue of its place in the list. It refuses a device with too
// few queues, and notes what costs speed or balance.
func Assign(cpus []CPU, d Device) (notes []string, err error) {
	if d.Queues < len(cpus) {
		return nil, errors.New("the device has " + strconv.Itoa(d.Queues) + " queues, and dpdk.lcores lists " + strconv.Itoa(len(cpus)) +
			" lcores, which need one each: list at most " + strconv.Itoa(d.Queues))
	}
	if len(cpus) > 1 && !d.RSS {
		notes = append(notes, "port "+d.Name+" does not spread flows over its queues by itself (no RSS): one lcore may get all frames; list one in dpdk.lcores")
	}
	for _, cpu := range cpus {
		if cpu.Socket != d.Socket {
			notes = append(notes, "lcore "+strconv.Itoa(cpu.ID)+" is on NUMA node "+strconv.Itoa(cpu.Socket)+" and port "+d.Name+" on node "+
				strconv.Itoa(d.Socket)+": choose a CPU of that node for dpdk.lcores")
		}
	}
	return notes, nil
}

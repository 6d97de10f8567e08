package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
	"turnout/sched"
)

// firstVIP and vipPort are the VIPs of the generator port: 198.18.0.1 and up.
const (
	firstVIP = 0xc6120001
	vipPort  = 80
)

// bed is what the generator port sends to: services, and real servers whose MACs say where they belong.
type bed struct {
	services int
	reals    int
	timeout  time.Duration // of every state; 0: IPVS's
	portMAC  frame.MAC
	plans    map[int]*sched.Plan // by service
}

// realMAC is 02:00:ss:ss:rr:rr, as the generator's oracle expects it of server r of service s.
func realMAC(s, r int) frame.MAC {
	return frame.MAC{2, 0, byte(s >> 8), byte(s), byte(r >> 8), byte(r)}
}

// spec describes the bed. In an odd generation the first real server of the first service has twice its weight.
func (b *bed) spec(generation int) (*lcore.Spec, error) {
	spec := &lcore.Spec{Epoch: uint64(generation), PortMAC: b.portMAC, DIP: firstVIP - 1, MaglevKey: [2]uint64{0x243f, 0x6a88}}
	for s := range b.services {
		service, err := b.service(s, generation)
		if err != nil {
			return nil, err
		}
		spec.Services = append(spec.Services, *service)
	}
	return spec, nil
}

func (b *bed) service(s, generation int) (*lcore.ServiceSpec, error) {
	spec := &lcore.ServiceSpec{ID: uint16(s), VIP: firstVIP + uint32(s), Protocol: frame.ProtocolTCP, Port: vipPort, Timeouts: b.timeouts()}
	servers := make([]sched.Server, b.reals)
	for r := range servers {
		servers[r] = sched.Server{ID: fmt.Sprintf("rs %d", r), Slot: uint16(r), Weight: 1, Usable: true, Share: sched.FullShare}
		spec.Reals = append(spec.Reals, lcore.RealSpec{MAC: realMAC(s, r), Counter: uint32(s*b.reals + r), State: lcore.RealUp})
	}
	if s == 0 && generation%2 == 1 {
		servers[0].Weight = 2
	}
	plan, err := b.plan(s, servers)
	if err == nil {
		spec.Table = new(atomic.Pointer[sched.Table])
		spec.Table.Store(plan.Table(servers, 0))
	}
	return spec, err
}

// plan keeps the plans of services that did not change.
func (b *bed) plan(s int, servers []sched.Server) (*sched.Plan, error) {
	if p := b.plans[s]; p != nil && p.Fits(sched.Maglev, servers, sched.Options{}) {
		return p, nil
	}
	p, err := sched.Maglev.Plan(servers, sched.Options{})
	if b.plans == nil {
		b.plans = make(map[int]*sched.Plan)
	}
	b.plans[s] = p
	return p, err
}

// timeouts are IPVS's, unless the bed has its own.
func (b *bed) timeouts() lcore.Timeouts {
	t := lcore.Timeouts{
		flowtable.None: ticks(10 * time.Second), flowtable.SynReceived: ticks(time.Minute), flowtable.Established: ticks(15 * time.Minute),
		flowtable.FinWait: ticks(2 * time.Minute), flowtable.TimeWait: ticks(2 * time.Minute), flowtable.Close: ticks(10 * time.Second),
		flowtable.UDP: ticks(5 * time.Minute),
	}
	if b.timeout > 0 {
		for state := range t {
			t[state] = ticks(b.timeout)
		}
	}
	return t
}

func ticks(d time.Duration) uint32 { return uint32(d * flowtable.TicksPerSecond / time.Second) }

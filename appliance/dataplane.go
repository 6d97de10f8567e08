package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/yerden/go-dpdk/eal"
	"go.uber.org/zap"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/port"
	"turnout/mgmt/director"
	"turnout/mgmt/punt"
)

// Frames that wait between the lcores and the management: what comes in a few milliseconds at a million frames a second.
const (
	puntRingFrames   = 4096
	injectRingFrames = 1024
)

// lcores are the workers and how they are spoken to.
type lcores struct {
	workers   []director.Lcore
	templates *flowtable.Templates
	punts     []*lcore.Ring
	inject    *lcore.Ring
	bursts    []*lcore.Burst
	queues    []*port.Queue
	ended     []<-chan error
}

// prepareHost looks for what would make this host answer for the DIP by another way, and frees the lcores' CPUs.
func (a *Appliance) prepareHost() error {
	p := a.config.Ports[0]
	if err := punt.CheckFlux(p.Prefix(), p.KernelInterface); err != nil {
		return err
	}
	var err error
	a.cpus, err = port.Reserve(a.config.DPDK.Lcores)
	return err
}

func (a *Appliance) startEAL() error {
	d := a.config.DPDK
	return port.StartEAL(port.EALConfig{
		MainLcore: d.MainLcore, Lcores: d.Lcores, Hugepages: d.Hugepages, MemoryMB: d.MemoryMB,
		Devices: []string{a.config.Ports[0].Device}, Args: d.EALArgs,
	})
}

// adaptive says whether lcores may sleep: by default those of virtual devices.
func (a *Appliance) adaptive() bool {
	if idle := a.config.DPDK.Idle; idle != "" {
		return idle == "adaptive"
	}
	return port.Virtual(a.config.Ports[0].Device)
}

func (a *Appliance) openPort() (err error) {
	p := a.config.Ports[0]
	a.port, err = port.Open(port.Config{
		Name: p.Name, Device: p.Device, MTU: p.MTU, Lcores: a.config.DPDK.Lcores, RxDescriptors: p.RxDescriptors,
		TxDescriptors: p.TxDescriptors, Adaptive: a.adaptive(), MemoryMB: a.config.DPDK.MemoryMB,
	})
	if err != nil {
		return err
	}
	for _, note := range a.port.Notes() {
		a.log.Warn(note)
	}
	return nil
}

func (a *Appliance) closePort() error {
	a.port.Close()
	return nil
}

// openTAP makes the kernel's end of the port, after another look for ARP flux: the port's device may have brought an
// interface with it.
func (a *Appliance) openTAP() (err error) {
	p := a.config.Ports[0]
	if err := punt.CheckFlux(p.Prefix(), p.KernelInterface); err != nil {
		return err
	}
	a.tap, err = punt.OpenTAP(punt.TAPConfig{Name: p.KernelInterface, MAC: a.port.MAC(), Address: p.Prefix(), MTU: p.MTU})
	return err
}

func (a *Appliance) closeTAP() error { return a.tap.Close() }

// startLcores makes the rings, starts the port and has every lcore poll its queue.
func (a *Appliance) startLcores() error {
	a.lcores = &lcores{}
	if err := a.launchLcores(); err != nil {
		return errors.Join(err, a.stopLcores())
	}
	return nil
}

func (a *Appliance) launchLcores() (err error) {
	l := a.lcores
	if l.inject, err = lcore.NewRing(injectRingFrames); err != nil {
		return err
	}
	if l.templates, err = flowtable.NewTemplates(a.config.FlowTable.PersistenceEntries); err != nil {
		return err
	}
	for i := range a.config.DPDK.Lcores {
		if err := l.addBuffers(); err != nil {
			return err
		}
		inject := l.inject
		if i > 0 { // the ring has one consumer: the first lcore sends what the management has to say
			inject = nil
		}
		l.queues = append(l.queues, a.port.Queue(inject))
	}
	if err := a.port.Start(); err != nil {
		return err
	}
	var flowKey [16]byte
	if _, err := rand.Read(flowKey[:]); err != nil {
		return fmt.Errorf("random key for the flow tables: %w", err)
	}
	for i, id := range a.config.DPDK.Lcores {
		if err := a.launchLcore(i, uint(id), flowKey); err != nil {
			return fmt.Errorf("lcore %d: %w", id, err)
		}
	}
	moved, err := a.cpus.Sweep()
	a.log.Debug("threads moved away from the lcores' CPUs", zap.Int("threads", moved))
	return err
}

func (l *lcores) addBuffers() error {
	ring, err := lcore.NewRing(puntRingFrames)
	if err != nil {
		return err
	}
	l.punts = append(l.punts, ring)
	burst, err := lcore.NewBurst()
	if err != nil {
		return err
	}
	l.bursts = append(l.bursts, burst)
	return nil
}

// launchLcore makes the worker on the lcore's own thread and NUMA node, and leaves it polling.
func (a *Appliance) launchLcore(index int, id uint, flowKey [16]byte) error {
	made := make(chan error, 1)
	var w *lcore.Worker
	ended := eal.ExecOnLcoreAsync(id, nil, func(*eal.LcoreCtx) {
		a.cpus.Claim(index)
		var err error
		w, err = lcore.New(lcore.Config{
			Queue: a.lcores.queues[index], Punt: a.lcores.punts[index], Burst: a.lcores.bursts[index], TSCHz: port.TSCHz(),
			Flows: a.config.FlowTable.Entries, FirstPick: uint32(index), Templates: a.lcores.templates,
			FlowKey: [2]uint64{binary.NativeEndian.Uint64(flowKey[:8]), binary.NativeEndian.Uint64(flowKey[8:])},
		})
		made <- err
		if err == nil {
			w.Run()
		}
	})
	if err := <-made; err != nil {
		return err
	}
	a.lcores.ended = append(a.lcores.ended, ended)
	a.lcores.workers = append(a.lcores.workers, director.Lcore{ID: id, Socket: eal.LcoreToSocket(id), Adaptive: a.adaptive(), Worker: w})
	return nil
}

// stopLcores makes the lcores leave their loops and gives their memory back.
func (a *Appliance) stopLcores() error {
	l := a.lcores
	for i := range l.workers {
		l.workers[i].Stop()
	}
	var errs []error
	for i, ended := range l.ended {
		select {
		case err := <-ended:
			errs = append(errs, err, l.workers[i].Close())
		case <-time.After(time.Second):
			return fmt.Errorf("lcore %d: %w", l.workers[i].ID, errStuck)
		}
	}
	for _, burst := range l.bursts {
		errs = append(errs, burst.Free())
	}
	for _, ring := range l.punts {
		errs = append(errs, ring.Close())
	}
	if l.inject != nil {
		errs = append(errs, l.inject.Close())
	}
	if l.templates != nil {
		errs = append(errs, l.templates.Close())
	}
	return errors.Join(errs...)
}

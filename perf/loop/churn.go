package main

import (
	"runtime"
	"time"
)

// disturb does, until stop closes, what a director's management may do at the same time, ten times a second each: change
// a weight, copy all counters, and a garbage collection besides.
func (l *loop) disturb(stop <-chan struct{}) error {
	if !l.churn || l.worker == nil {
		<-stop
		return nil
	}
	tick := time.NewTicker(time.Second / 10)
	defer tick.Stop()
	for generation := 1; ; generation++ {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		if err := l.publish(generation); err != nil {
			return err
		}
		l.worker.ReadCounters()
		for counter := range l.bed.services * l.bed.reals {
			l.worker.ReadReal(uint32(counter))
		}
		runtime.GC()
	}
}

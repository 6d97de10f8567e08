package lcore

import (
	"sync/atomic"

	"turnout/flowtable"
)

// Request asks an lcore for a copy of part of its flow table, or how things stand for one tuple. The asker makes it, fills
// Cursor and Out, or Tuple, and looks at the rest once Done says so; until then it belongs to the lcore.
type Request struct {
	Tuple    *Tuple           // not nil: Standing is asked for, and nothing else
	Standing Standing         // of Tuple
	Cursor   uint64           // where to go on; 0 is the beginning
	Out      []flowtable.Flow // room for the copies, at least 3
	N        int              // how many were copied
	Last     bool             // there are no more
	Now      uint32           // tick at which they were copied
	done     atomic.Bool
}

// bucketsPerTurn is how much of its flow table an lcore looks at for an asker between two bursts.
const bucketsPerTurn = 64

// Ask puts a request into the lcore's mailbox, and answers false when another one is still in it.
func (w *Worker) Ask(r *Request) bool { return w.mailbox.CompareAndSwap(nil, r) }

// Done says whether the request has been answered.
func (r *Request) Done() bool { return r.done.Load() }

// answer does a turn's worth of a request.
func (w *Worker) answer(r *Request) {
	if r.Tuple != nil {
		w.stand(r)
		w.answered(r)
		return
	}
	n, next, last := w.flows.CopyFrom(r.Cursor, bucketsPerTurn, r.Out[r.N:])
	r.N += n
	r.Cursor, r.Last, r.Now = next, last, w.now
	if last || len(r.Out)-r.N < 3 {
		w.answered(r)
	}
}

// answered gives a request back.
func (w *Worker) answered(r *Request) {
	w.mailbox.Store(nil)
	r.done.Store(true)
}

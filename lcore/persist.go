package lcore

import "turnout/flowtable"

// persists says whether the new flows of a service go where their clients' flows before went.
func (w *Worker) persists(svc *service) bool { return svc.persistence != 0 && w.templates != nil }

// template is the slot that the template of a flow's client names, or flowtable.NoSlot.
func (w *Worker) template(svc *service, key *flowtable.Key) uint16 {
	if !w.persists(svc) {
		return flowtable.NoSlot
	}
	return w.templates.Find(flowtable.ClientOf(key.Service, key.Client, svc.prefix), w.now)
}

// takes says whether the real server of a slot, which may be none, gets new flows.
func (s *Snapshot) takes(svc *service, slot uint16) bool {
	return uint32(slot) < svc.count && s.reals[svc.first+uint32(slot)].state == RealUp
}

// pin has the client's template count a flow, and moves the flow to the real server that the template names then: another
// lcore may have made it, or moved it, in the meantime. Where there is no room for a template the hash of the client
// decides, which is the same on every lcore.
func (w *Worker) pin(s *Snapshot, svc *service, f *flowtable.Flow, c *choice) {
	bound, counted := w.templates.Bind(flowtable.ClientOf(f.Service, f.Client, svc.prefix), c.old, c.slot, w.now)
	switch {
	case counted:
		f.Pinned = 1 + svc.prefix
	case bound == flowtable.NoSlot:
		w.counters.Unpinned++
		bound = c.table.PickByHash(c.hash)
	}
	if s.takes(svc, bound) {
		f.Slot = bound
	}
}

// unpin has the client's template let a flow go.
func (w *Worker) unpin(s *Snapshot, f *flowtable.Flow) {
	persistence := uint32(0)
	if int(f.Service) < len(s.services) {
		persistence = s.services[f.Service].persistence
	}
	w.templates.Release(flowtable.ClientOf(f.Service, f.Client, f.Pinned-1), w.now, persistence)
	f.Pinned = 0
}

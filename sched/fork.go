package sched

// Fork returns the table with a place of its own that begins where t's is, so that what is picked from it takes no turn
// of t's.
func (t *Table) Fork() *Table {
	fork := *t
	if t.place != nil {
		fork.place = new(place)
		fork.place.taken.Store(t.place.taken.Load())
	}
	return &fork
}

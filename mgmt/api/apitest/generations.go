package apitest

import (
	"fmt"
	"time"

	"turnout/mgmt/api"
	"turnout/mgmt/store"
)

// kept is how many generations before the one in force can be had.
const kept = 10

// Generations implements api.Director: each was saved a minute before the next.
func (d *Director) Generations() ([]api.Generation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []api.Generation
	for n := d.oldest(); n <= d.generation; n++ {
		list = append(list, api.Generation{
			Generation: n, Saved: Now.Add(-time.Duration(d.generation-n) * time.Minute), InForce: n == d.generation,
			Services: len(d.states[n].Services),
		})
	}
	return list, nil
}

func (d *Director) oldest() uint64 { return max(first, d.generation-min(kept, d.generation)) }

// GenerationState implements api.Director.
func (d *Director) GenerationState(n uint64) (store.State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n < d.oldest() || n > d.generation {
		return store.State{}, fmt.Errorf("generation %d: %w", n, api.ErrNotFound)
	}
	return d.states[n].Clone(), nil
}

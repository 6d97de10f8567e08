package director

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"turnout/mgmt/api"
	"turnout/mgmt/store"
)

// Generations is that of api.Director.
func (d *Director) Generations() ([]api.Generation, error) {
	kept, err := d.config.Store.Kept()
	if err != nil {
		return nil, err
	}
	list := make([]api.Generation, 0, len(kept)+1)
	for _, k := range kept {
		list = append(list, api.Generation{Generation: k.Generation, Saved: k.Saved, Services: k.Services})
	}
	v := d.view.Load()
	if v.generation == 0 {
		return list, nil
	}
	file, err := os.Stat(d.config.Store.Path())
	if err != nil {
		return nil, err
	}
	return append(list, api.Generation{Generation: v.generation, Saved: file.ModTime(), InForce: true, Services: len(v.services)}), nil
}

// GenerationState is that of api.Director.
func (d *Director) GenerationState(n uint64) (store.State, error) {
	state, err := d.config.Store.ReadKept(n)
	if errors.Is(err, fs.ErrNotExist) {
		return state, fmt.Errorf("generation %d: %w: turnout generations lists those that are kept", n, api.ErrNotFound)
	}
	return state, err
}

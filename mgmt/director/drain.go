package director

import (
	"context"
	"errors"
	"net/netip"

	"turnout/mgmt/api"
	"turnout/mgmt/events"
	"turnout/mgmt/store"
)

// SetDrain is that of api.Director.
func (d *Director) SetDrain(context.Context, string, netip.Addr, api.Drain) error {
	return errors.ErrUnsupported
}

// EndDrain is that of api.Director.
func (d *Director) EndDrain(context.Context, string, netip.Addr) error { return errors.ErrUnsupported }

// Generations is that of api.Director.
func (d *Director) Generations() ([]api.Generation, error) { return nil, errors.ErrUnsupported }

// GenerationState is that of api.Director.
func (d *Director) GenerationState(uint64) (store.State, error) {
	return store.State{}, errors.ErrUnsupported
}

// Events is that of api.Director.
func (d *Director) Events() *events.Hub { return d.config.Events }

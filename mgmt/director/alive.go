package director

import (
	"context"

	"turnout/mgmt/api"
)

// Alive returns once the goroutine that owns the state has answered. Errors: it has ended, or ctx has before the answer.
func (d *Director) Alive(ctx context.Context) error {
	m := message{func() error { return nil }, make(chan error, 1)}
	select {
	case d.messages <- m:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-m.done:
		return err
	case <-d.ended:
		return api.ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

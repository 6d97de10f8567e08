package director

import "context"

// Alive returns once the goroutine that owns the state has answered. Errors: it has ended, or ctx has before the answer.
func (d *Director) Alive(ctx context.Context) error {
	done, err := d.post(ctx, func() error { return nil })
	if err != nil {
		return err
	}
	return d.wait(ctx, done)
}

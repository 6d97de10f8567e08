package director

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAHungDirectorIsNotAlive(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	if err := d.Alive(context.Background()); err != nil {
		t.Fatalf("one that works: %v", err)
	}
	release := make(chan struct{})
	if _, err := d.post(context.Background(), func() error { <-release; return nil }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := d.Alive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that hangs: %v", err)
	}
	close(release)
	if err := d.Alive(context.Background()); err != nil {
		t.Errorf("one that goes on: %v", err)
	}
}

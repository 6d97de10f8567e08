package director

import (
	"context"
	"errors"
	"testing"

	"turnout/mgmt/api"
	"turnout/mgmt/store"
)

func TestGenerationsCanBePutInForceAgain(t *testing.T) {
	d, _, path := start(t, servicesFile)
	for range 3 {
		if err := edit(d, 0, func(s *store.State) error { s.Services[0].RealServers[0].Weight++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	list, err := d.Generations()
	if err != nil || len(list) != 4 || !list[3].InForce || list[3].Generation != 4 || list[3].Services != 1 {
		t.Fatalf("%+v (%v); want 1 to 4, the last in force", list, err)
	}
	first, err := d.GenerationState(1)
	if err != nil || first.Services[0].RealServers[0].Weight != 1 {
		t.Fatalf("generation 1 is %+v (%v)", first, err)
	}
	if err := edit(d, 4, func(s *store.State) error { *s = first; return nil }); err != nil {
		t.Fatal(err)
	}
	again, _ := startAt(t, path)
	if g := again.Status().Generation; g != 5 {
		t.Errorf("after a restart generation %d, want 5 to go on from", g)
	}
	if _, err := d.GenerationState(99); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("a generation that is not kept: %v", err)
	}
}

func TestRefusedFileIsNoGeneration(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	if err := edit(d, 0, func(s *store.State) error { s.Services[0].Name = "Web!"; return nil }); !isMistakes(err) {
		t.Fatal(err)
	}
	if err := d.Load(context.Background()); err != nil || d.Status().Generation != 1 {
		t.Errorf("generation %d (%v), want 1", d.Status().Generation, err)
	}
}

package director

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"turnout/mgmt/api"
)

func TestRoleChanges(t *testing.T) {
	d, w, _ := start(t, servicesFile)
	for _, role := range []api.Role{api.RoleStandby, api.RoleStandby, api.RoleActive} {
		if err := d.SetRole(context.Background(), role); err != nil {
			t.Fatal(err)
		}
		if d.Role() != role {
			t.Errorf("role %s, want %s", d.Role(), role)
		}
		if w.saved != role {
			t.Errorf("role %s is saved, want %s", w.saved, role)
		}
	}
	if !slices.Equal(w.active, []bool{false, false, true}) {
		t.Errorf("told %v; want each setting once", w.active)
	}
}

func TestRoleChangesThoughItCannotBeKept(t *testing.T) {
	d, w, _ := start(t, servicesFile)
	w.saveError = errors.New("disk full")
	if err := d.SetRole(context.Background(), api.RoleStandby); err != nil || d.Role() != api.RoleStandby {
		t.Errorf("role %s (%v), want standby", d.Role(), err)
	}
}

func TestStoppingIsNotReady(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	if ready, why := d.Ready(); !ready {
		t.Fatalf("not ready: %v", why)
	}
	d.Stopping()
	if ready, why := d.Ready(); ready || len(why) != 1 || !strings.Contains(why[0], "told to stop") {
		t.Errorf("ready %v, %q; want that it was told to stop", ready, why)
	}
}

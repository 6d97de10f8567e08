package main

import (
	"os"
	"path/filepath"
	"testing"

	"turnout/mgmt/api"
)

func TestRoleOutlivesARestart(t *testing.T) {
	c := &Config{Role: "standby", MaglevKeyFile: filepath.Join(t.TempDir(), "maglev.key")}
	wantRole := func(want api.Role) {
		t.Helper()
		if got, err := loadRole(c); got != want || err != nil {
			t.Errorf("starts as %s (%v), want %s", got, err, want)
		}
	}
	wantRole(api.RoleStandby)
	if err := saveRole(c, api.RoleActive); err != nil {
		t.Fatal(err)
	}
	wantRole(api.RoleActive)
	c.Role = "active" // turnout.yaml was changed, and changed back: what it says counts
	wantRole(api.RoleActive)
	if err := saveRole(c, api.RoleStandby); err != nil {
		t.Fatal(err)
	}
	wantRole(api.RoleStandby)
	c.Role = "standby"
	wantRole(api.RoleStandby)
	if err := os.WriteFile(c.rolePath(), []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantRole(api.RoleStandby)
}

func TestRoleThatCannotBeKeptIsRefused(t *testing.T) {
	c := &Config{Role: "standby", MaglevKeyFile: filepath.Join(t.TempDir(), "missing", "maglev.key")}
	if err := saveRole(c, api.RoleActive); err == nil {
		t.Error("kept in a folder that does not exist")
	}
}

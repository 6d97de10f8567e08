package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"turnout/mgmt/api"
)

// The role that was last set by the API outlives a restart: a director that took over is active again. turnout.yaml has
// the last word: a role that is changed there counts from the next start on.

// rolePath is where the role is kept.
func (c *Config) rolePath() string { return c.besideKey("role") }

// besideKey is the path of a file that turnout keeps for itself: beside the Maglev key.
func (c *Config) besideKey(name string) string {
	return filepath.Join(filepath.Dir(c.MaglevKeyFile), name)
}

// loadRole is the role to start with.
func loadRole(c *Config) (api.Role, error) {
	configured := api.Role(c.Role)
	content, err := os.ReadFile(c.rolePath())
	if errors.Is(err, fs.ErrNotExist) {
		return configured, nil
	}
	if err != nil {
		return "", fmt.Errorf("read the role that was set last: %w", err)
	}
	for _, role := range []api.Role{api.RoleActive, api.RoleStandby} {
		if string(content) == roleText(role, configured) {
			return role, nil
		}
	}
	return configured, nil
}

// saveRole keeps a role that was set.
func saveRole(c *Config, role api.Role) error {
	next := c.rolePath() + ".new"
	if err := os.WriteFile(next, []byte(roleText(role, api.Role(c.Role))), 0o644); err != nil {
		return fmt.Errorf("keep the role: %w", err)
	}
	if err := os.Rename(next, c.rolePath()); err != nil {
		return fmt.Errorf("keep the role: %w", err)
	}
	return nil
}

// resignInterval is how often a director that is to stop looks whether it is active still.
const resignInterval = 10 * time.Millisecond

// resign forwards on until the role is standby, for as long as stop_grace allows. To all who ask, this director is not
// ready meanwhile.
func (a *Appliance) resign() {
	a.director.Stopping()
	end := time.Now().Add(a.config.stopGrace())
	for a.director.Role() == api.RoleActive && time.Now().Before(end) {
		time.Sleep(resignInterval)
	}
}

// stopGrace is stop_grace, or 0 where Validate refuses it.
func (c *Config) stopGrace() time.Duration {
	grace, _ := time.ParseDuration(c.StopGrace)
	return grace
}

func roleText(role, configured api.Role) string {
	return fmt.Sprintf("%s, while turnout.yaml says %s\n", role, configured)
}

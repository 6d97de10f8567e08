package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"
)

// Drain is a real server of a service that is being drained.
type Drain struct {
	Service    string     `json:"service"`
	RealServer netip.Addr `json:"real_server"`
	Since      time.Time  `json:"since"`
	Deadline   Duration   `json:"deadline"` // 0: none
	Then       string     `json:"then"`     // keep, reschedule or drop
}

// Drains is the file that has drains outlive a restart. They are no part of services.yaml: that says what is meant to
// be, and loading it again must not end a drain.
type Drains struct{ path string }

// OpenDrains returns the Drains in the file at path, which need not be there yet.
func OpenDrains(path string) *Drains { return &Drains{path} }

// Load reads the drains; without a file there are none.
func (d *Drains) Load() ([]Drain, error) {
	content, err := os.ReadFile(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the drains: %w", err)
	}
	var drains []Drain
	if err := json.Unmarshal(content, &drains); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): delete it, and drain again what is to be drained", d.path, err)
	}
	return drains, nil
}

// Save writes the drains in one step: a crash leaves the file as it was or as it is to be.
func (d *Drains) Save(drains []Drain) error {
	content, err := json.MarshalIndent(drains, "", "  ")
	if err == nil {
		err = writeFile(d.path, append(content, '\n'), nil)
	}
	if err != nil {
		return fmt.Errorf("keep the drains: %w", err)
	}
	return nil
}

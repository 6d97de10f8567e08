package store

import (
	"fmt"
	"strings"
	"time"
)

// Duration is a time.Duration written as text ("10m") in YAML and JSON.
type Duration time.Duration

// String writes d without the zero units of time.Duration: "10m", not "10m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes d as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration: write a number and ms, s, m or h, such as 30s or 10m", text)
	}
	*d = Duration(parsed)
	return nil
}

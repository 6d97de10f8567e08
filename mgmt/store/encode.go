package store

import (
	"fmt"
	"strings"
)

// Encode writes a services.yaml from nothing, with remarks[i], one line, as a comment above service i. Defaults are
// not written. Decode reads the same state from it, given that it passes Validate.
func Encode(state State, remarks []string) []byte {
	if len(state.Services) == 0 {
		return []byte("services: []\n")
	}
	var b strings.Builder
	b.WriteString("services:\n")
	for i, svc := range state.Services {
		fmt.Fprintf(&b, "  # %s\n  - %s\n", remarks[i], blockMapping(serviceWants(Service{}, svc), 4))
	}
	return []byte(b.String())
}

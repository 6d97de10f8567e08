// Package importer turns the files of other directors of the LVS kind into a services.yaml.
//
// Reading order: importer.go (what comes out), ipvsadm.go, keepalived_blocks.go, keepalived.go, keepalived_check.go,
// ldirectord.go, ldirectord_check.go (one reader per format), then collector.go, schedule.go, availability.go and
// check.go, which judge what the readers found, alike for all of them.
//
// A service is carried over if it does the same work afterwards; where a scheduler or a check has to be another one, a
// remark says so. What would change who gets which packet is left out, with a remark that says what to do.
package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"turnout/mgmt/store"
)

// Result is what could be carried over, and a remark for everything that could not.
type Result struct {
	State   store.State
	Sources []string // where State.Services[i] came from, one line: "line 12: virtual_server 192.168.57.100 80"
	Remarks []Remark // in file order
}

// Remark is one thing that is not, or not wholly, carried over.
type Remark struct {
	Line int    // of the file that was read, counted from 1
	Text string // what it is, and what to do
}

var readers = map[string]func(data []byte) (*Result, error){
	"ipvsadm":    readIPVSAdm,
	"keepalived": readKeepalived,
	"ldirectord": readLdirectord,
}

// Formats returns the names that Import knows, sorted.
func Formats() []string { return slices.Sorted(maps.Keys(readers)) }

// Import reads a file of the format. The services of the Result pass Validate without a segment; there may be none.
// The error is for an unknown format, and for a file that is not of its format at all.
func Import(format string, data []byte) (*Result, error) {
	read, ok := readers[format]
	if !ok {
		return nil, fmt.Errorf("%q is no format that can be imported: use %s", format, strings.Join(Formats(), ", "))
	}
	return read(data)
}

// YAML writes the services as a services.yaml that says where each came from.
func (r *Result) YAML() []byte { return store.Encode(r.State, r.Sources) }

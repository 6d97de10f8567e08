// Package scripts holds the scripts that the program carries with it.
package scripts

import _ "embed" // for the text below

// RealServer is realserver.sh, for bash. It is the one that knows how a real server is set up: see
// docs/design/0007-real-server-script.md.
//
//go:embed realserver.sh
var RealServer string

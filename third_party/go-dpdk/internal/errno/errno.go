// Package errno turns DPDK's return codes into Go errors.
package errno

import "syscall"

// From returns nil for a code of 0 or more and the syscall.Errno behind a
// negative one.
func From(code int) error {
	if code >= 0 {
		return nil
	}
	return syscall.Errno(-code)
}

package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// maxError bounds an error text, in bytes: net/http quotes what the server sent.
const maxError = 160

// explain puts err into a few words that help.
func (m *Monitor) explain(err error, timeout time.Duration) string {
	var call *os.SyscallError
	bind := errors.As(err, &call) && call.Syscall == "bind"
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("timed out after %v", timeout)
	case bind && errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("no interface that is up has the address %v: is kernel_interface up, with the DIP on it?", m.cfg.Source)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no local port left: widen net.ipv4.ip_local_port_range"
	case errors.Is(err, syscall.ENETUNREACH):
		return "no route: is kernel_interface up?"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "no route to host: it does not answer ARP, or a router refuses"
	case errors.Is(err, syscall.EMFILE):
		return "too many open files: raise the limit (LimitNOFILE in the systemd unit)"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the end of the answer"
	}
	return fmt.Sprintf("%.*s", maxError, err)
}

package e2e

import (
	"testing"
	"time"
)

// sweepTime is what a director may take to find that a silent flow is over.
const sweepTime = 10 * time.Second

// Who looks at flows that end has to wait for them: these tests do so side by side.
func TestServicesWhoseFlowsEnd(t *testing.T) {
	s := needSegment(t)
	d := startDirector(t, settings{services: "services:\n" + limited + persistent + byCommand + drained()})
	for _, port := range []int{limitedPort, clientsPort, networksPort, byCommandPort} {
		s.serveEcho(t, port)
	}
	for i := range thens {
		s.serveEcho(t, firstPort+i)
	}
	t.Run("side by side", func(t *testing.T) {
		for name, test := range map[string]func(*director){
			"connection limits":     testConnectionLimits,
			"persistence":           testPersistence,
			"drain by command":      testDrainByCommand,
			"drain with a deadline": testDrainWithDeadline,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(d.in(t))
			})
		}
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"turnout/mgmt/api"
)

// statusInterval is how often the service manager is told the state where it has no watchdog.
const statusInterval = 5 * time.Second

// supervisor tells the service manager how the appliance fares (sd_notify(3)). Without one it does nothing.
type supervisor struct {
	log      *zap.Logger
	watchdog time.Duration // how long the service manager waits for a sign of life; 0: it does not
	status   func() api.Status
	polls    func() map[uint]uint64      // turns so far, by lcore
	answers  func(context.Context) error // whether the director does

	seen map[uint]uint64 // polls at the last look
	said string          // the last status line
	sick bool            // there was no sign of life at the last look
}

func (a *Appliance) newSupervisor() *supervisor {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		a.log.Warn("no signs of life for the service manager", zap.Error(err))
	}
	return &supervisor{
		log: a.log, watchdog: watchdog, status: a.director.Status, polls: a.lcores.polls, answers: a.director.Alive,
		seen: a.lcores.polls(),
	}
}

// polls are the lcores' turns so far. One that is idle makes some every few milliseconds.
func (l *lcores) polls() map[uint]uint64 {
	polls := map[uint]uint64{}
	for i := range l.workers {
		polls[l.workers[i].ID] = l.workers[i].ReadCounters().Polls
	}
	return polls
}

// tell sends lines to the service manager.
func tell(log *zap.Logger, lines ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(lines, "\n")); err != nil {
		log.Warn("the service manager does not listen", zap.Error(err))
	}
}

// ready tells that forwarding has begun, or that a reload is over.
func (s *supervisor) ready() { tell(s.log, daemon.SdNotifyReady, s.line(nil)) }

// reloading tells that the services file is read again, until ready. The time is for units of Type=notify-reload.
func (s *supervisor) reloading() {
	tell(s.log, daemon.SdNotifyReloading, daemon.SdNotifyMonotonicUsec())
}

// run shows the state as it changes, and gives signs of life while there is life.
func (s *supervisor) run(ctx context.Context) error {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	next := time.NewTicker(s.interval())
	defer next.Stop()
	for {
		select {
		case <-next.C:
			s.look(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// interval is a quarter of what the service manager waits: one look may take as long as to the next.
func (s *supervisor) interval() time.Duration {
	if s.watchdog == 0 {
		return statusInterval
	}
	return s.watchdog / 4
}

// look gives a sign of life only if all lcores and the director give one: a hung lcore must not be hidden.
func (s *supervisor) look(ctx context.Context) {
	err := s.alive(ctx)
	if ctx.Err() != nil {
		return
	}
	s.note(err)
	var lines []string
	if err == nil && s.watchdog > 0 {
		lines = append(lines, daemon.SdNotifyWatchdog)
	}
	if line := s.line(err); line != s.said {
		s.said = line
		lines = append(lines, line)
	}
	if len(lines) > 0 {
		tell(s.log, lines...)
	}
}

// note logs the end of life, and its return.
func (s *supervisor) note(err error) {
	switch sick := s.sick; {
	case err != nil && !sick:
		s.log.Error("no sign of life for the service manager", zap.Error(err))
	case err == nil && sick:
		s.log.Info("lcores poll and the director answers again")
	}
	s.sick = err != nil
}

// alive says what does not live: an lcore that has not polled since the last look, a director that does not answer.
func (s *supervisor) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.interval())
	defer cancel()
	var errs []error
	now := s.polls()
	for id, n := range now {
		if n == s.seen[id] {
			errs = append(errs, fmt.Errorf("lcore %d does not poll", id))
		}
	}
	s.seen = now
	if err := s.answers(ctx); err != nil {
		errs = append(errs, fmt.Errorf("the director does not answer: %w", err))
	}
	return errors.Join(errs...)
}

// line is the appliance in one line, as systemctl status shows it: what is wrong with it, or its state.
func (s *supervisor) line(wrong error) string {
	state := s.status()
	text := fmt.Sprintf("%s, generation %d", state.Role, state.Generation)
	if !state.Ready {
		text += ", not ready: " + strings.Join(state.NotReady, "; ")
	}
	if wrong != nil {
		text = wrong.Error()
	}
	return "STATUS=" + strings.ReplaceAll(text, "\n", "; ")
}

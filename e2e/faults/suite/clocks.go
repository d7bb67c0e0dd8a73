package suite

import (
	"context"
	"time"

	"github.com/cupline/cupline/e2e/faults/clock"
	"github.com/cupline/cupline/e2e/faults/schedule"
)

// wrongBy is how far a process's clock is ahead or behind.
const wrongBy = time.Hour

// clockBreakers run a process with a wrong clock for a while.
func (s *site) clockBreakers() map[schedule.Action]breaker {
	wrong := func(by time.Duration) breaker {
		return func(ctx context.Context, f schedule.Fault) error {
			whole := context.WithoutCancel(ctx)
			if err := s.End(whole, f.Target); err != nil {
				return err
			}
			if err := s.relaunch(f.Target, map[string]string{clock.Variable: by.String()}); err != nil {
				return err
			}
			pause(ctx, f.For)
			if err := s.End(whole, f.Target); err != nil {
				return err
			}
			return s.relaunch(f.Target, nil)
		}
	}
	return map[schedule.Action]breaker{schedule.ClockAhead: wrong(wrongBy), schedule.ClockBehind: wrong(-wrongBy)}
}

package suite

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/local/services"
)

// passLimit is how long a process may take to pass a point that is armed, and passPatience where every point has its one turn: past the
// longest of other faults that may keep it from its work.
const passLimit, passPatience = 10 * time.Second, 40 * time.Second

// errNotMet says that a point was not passed often enough in that time, so nothing was broken.
var errNotMet = errors.New("not passed often enough: nothing was broken")

// points that a process passes, as targets.
func (p part) points() []schedule.Target {
	var points []failpoint.Point
	switch {
	case p.program == services.API:
		points = []failpoint.Point{failpoint.BeforePublish, failpoint.AfterPublish, failpoint.BeforeRedrive, failpoint.AfterRedrive}
	case p.program == services.Dispatcher && p.env["CUPLINE_ROLES"] == "record":
		points = []failpoint.Point{failpoint.InSettle, failpoint.AfterOutcome, failpoint.AfterPublish, failpoint.BeforeAck}
	case p.program == services.Dispatcher:
		points = []failpoint.Point{
			failpoint.AfterClaim, failpoint.BeforePublish, failpoint.AfterAnswer, failpoint.AfterOutcome,
			failpoint.AfterPublish, failpoint.BeforeAck,
		}
	case p.program == services.Pusher:
		points = []failpoint.Point{
			failpoint.AfterPush, failpoint.BeforeAck, failpoint.InMailbox, failpoint.AfterMailbox, failpoint.AfterPublish,
		}
	}
	var targets []schedule.Target
	for _, point := range points {
		targets = append(targets, schedule.Target{Name: p.name + at + string(point), Of: p.name, Kind: p.kind() + at + string(point), Class: schedule.Point})
	}
	return targets
}

// at stands between a process and its point in a target's name.
const at = " at "

// armed is the folder in which a process's points are armed.
func (s *site) armed(name string) string { return filepath.Join(s.folder, "points", name) }

// pointBreakers wait for a process to come to a point in its work.
func (s *site) pointBreakers() map[schedule.Action]breaker {
	return map[schedule.Action]breaker{
		schedule.KillAt: func(ctx context.Context, f schedule.Fault) error {
			if err := s.meet(ctx, f, 0); err != nil {
				return err
			}
			// It is dying by itself; this waits for its end.
			gone := func() error { return s.Kill(f.Of) }
			return down(ctx, schedule.Fault{Action: schedule.Kill, For: f.For}, gone, nil, func(context.Context) error {
				return s.relaunch(f.Of, nil)
			})
		},
		schedule.HoldAt: func(ctx context.Context, f schedule.Fault) error {
			if err := s.meet(ctx, f, f.For); err != nil {
				return err
			}
			pause(ctx, f.For)
			return nil
		},
	}
}

// meet arms a point and returns once it was passed as often as the fault says.
func (s *site) meet(ctx context.Context, f schedule.Fault, hold time.Duration) error {
	folder := s.armed(f.Of)
	point := failpoint.Point(strings.TrimPrefix(f.Target, f.Of+at))
	if err := failpoint.Arm(folder, point, f.Nth, hold); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, s.passing)
	defer cancel()
	for failpoint.Armed(folder, point) && pause(limited, look/10) {
	}
	met, err := failpoint.Disarm(folder, point)
	if err == nil && !met {
		err = errNotMet
	}
	return err
}

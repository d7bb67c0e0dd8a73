package suite

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/verify/history"
)

const (
	// fleet is all services as one target.
	fleet = "fleet"
	// slotFree is when a slot that nobody holds is pruned, as the setting has it: longer than a pusher is ever away
	// that comes back.
	slotFree = "20s"
	// slotLimit is past that, and two rounds of who looks.
	slotLimit = 75 * time.Second
	// readyAgain bounds the wait for a service in a rolling restart, before the next one's turn.
	readyAgain = 15 * time.Second
	// spareSlot begins the slots of the spare pusher; each of its lives has one of its own.
	spareSlot = "spare-"
)

// spares are services that are there for a while only.
type spares struct {
	moreDispatcher, morePusher part
	lives                      int // of the spare pusher; of the goroutine that holds the fleet
}

// prepareSpares gives them their links. The pusher runs once, so that clients know its address.
func (s *site) prepareSpares(ctx context.Context) error {
	s.moreDispatcher = part{name: "dispatcher-spare", program: services.Dispatcher, env: map[string]string{"CUPLINE_ROLES": "work"}}
	s.morePusher = part{name: "pusher-spare", program: services.Pusher}
	for _, p := range []*part{&s.moreDispatcher, &s.morePusher} {
		if err := s.wire(ctx, p); err != nil {
			return err
		}
	}
	if err := s.launchPusher(); err != nil {
		return err
	}
	return s.End(ctx, s.morePusher.name)
}

// launchPusher starts the spare pusher on a slot that no one before it had.
func (s *site) launchPusher() error {
	s.lives++
	env := maps.Clone(s.morePusher.env)
	env["CUPLINE_SLOT"] = fmt.Sprintf("%s%d", spareSlot, s.lives)
	_, err := s.Launch(s.morePusher.name, s.morePusher.program, env)
	return err
}

// fleetBreakers are what operators do while commands flow.
func (s *site) fleetBreakers() map[schedule.Action]breaker {
	during := func(begin func() error, end func(context.Context) error) breaker {
		return func(ctx context.Context, f schedule.Fault) error {
			if err := begin(); err != nil {
				return err
			}
			pause(ctx, f.For)
			return end(context.WithoutCancel(ctx))
		}
	}
	return map[schedule.Action]breaker{
		schedule.Rolling: s.roll,
		schedule.MoreDispatchers: during(func() error {
			_, err := s.Launch(s.moreDispatcher.name, s.moreDispatcher.program, s.moreDispatcher.env)
			return err
		}, func(ctx context.Context) error { return s.End(ctx, s.moreDispatcher.name) }),
		schedule.MorePushers:  during(s.launchPusher, func(ctx context.Context) error { return s.End(ctx, s.morePusher.name) }),
		schedule.RetirePusher: during(s.launchPusher, func(context.Context) error { return s.Kill(s.morePusher.name) }),
	}
}

// roll ends every process in order and starts it again, each when the one before is ready; where another fault keeps that
// from being so, after a while.
func (s *site) roll(ctx context.Context, _ schedule.Fault) error {
	whole := context.WithoutCancel(ctx)
	for _, p := range s.parts {
		if ctx.Err() != nil {
			return nil // what was begun is whole
		}
		if err := s.renew(whole, p.name); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) renew(ctx context.Context, name string) error {
	defer s.hold(name)()
	if err := s.End(ctx, name); err != nil {
		return err
	}
	if err := s.relaunch(name, nil); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, readyAgain)
	defer cancel()
	_ = s.Service(name).WaitReady(waiting) // whether it is at last is looked at when all is healed
	return nil
}

// retired waits until the slots of spare pushers are gone, and returns those that stay.
func (s *site) retired(ctx context.Context) ([]history.Event, error) {
	waiting, cancel := context.WithTimeout(ctx, slotLimit)
	defer cancel()
	for {
		queues, err := s.queues(ctx)
		if err != nil {
			return nil, err
		}
		var left []history.Event
		for _, q := range queues {
			if strings.HasPrefix(q.Name, topology.PushQueue(spareSlot)) {
				left = append(left, history.Event{Kind: history.Slot, Name: strings.TrimPrefix(q.Name, topology.PushQueue(""))})
			}
		}
		if len(left) == 0 || !pause(waiting, look) {
			return left, nil
		}
	}
}

package broker

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/schema/topology"
)

// KeepEvery is how often what is kept is declared again.
const KeepEvery = 10 * time.Second

// Keep declares again what want returns, every so often while a connection lasts: what
// somebody has taken away from a broker that runs, is back then, and nobody has to do
// anything for it. Nobody else would notice: a queue whose dead-letter exchange is gone says
// nothing to anyone. It comes behind the step that declares it at first and reports drifts.
func (l *Link) Keep(every time.Duration, want func(ctx context.Context) (topology.Topology, error)) {
	l.OnUp("keep the topology", func(_ context.Context, s *Session) error {
		s.crew.Go(func() { s.keep(every, want) })
		return nil
	})
}

// keep declares until the session ends. What keeps failing is logged once.
func (s *Session) keep(every time.Duration, want func(ctx context.Context) (topology.Topology, error)) {
	failing := false
	for sleep(s.life, every) {
		err := s.declareAgain(want)
		if err != nil && !failing && s.life.Err() == nil {
			s.link.cfg.Log.Warn("cannot see to it that nothing is missing at the broker", zap.Error(err))
		}
		failing = err != nil
	}
}

func (s *Session) declareAgain(want func(ctx context.Context) (topology.Topology, error)) error {
	ctx, cancel := context.WithTimeout(s.life, s.link.cfg.StepTimeout)
	defer cancel()
	t, err := want(ctx)
	if err != nil {
		return err
	}
	if _, err := s.Declare(ctx, t); err != nil {
		return fmt.Errorf("declare again: %w", err)
	}
	return nil
}

package telemetry

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// SurveyConfig of a Survey. All fields are required.
type SurveyConfig struct {
	// Name says in the log what is asked.
	Name string
	// Every is the pause between two askings; Limit bounds one.
	Every, Limit time.Duration
	// Ask looks, and sets gauges.
	Ask func(ctx context.Context) error
	// Lost takes back what the gauges said, after an asking that failed: no figure is
	// better than an old one.
	Lost func()
	Log  *zap.Logger
}

// Survey asks now and then for figures that are too dear to be asked for at each scrape,
// and that nobody counts along the way. However long an asking takes, all of them together
// take no more than about a twentieth of the time.
type Survey struct {
	cfg    SurveyConfig
	cancel context.CancelFunc
	done   chan struct{}
}

// thrift is how many times as long as an asking took the pause after it is, at least.
const thrift = 20

// NewSurvey makes a survey; Start begins it.
func NewSurvey(cfg SurveyConfig) *Survey {
	return &Survey{cfg: cfg, cancel: func() {}, done: make(chan struct{})}
}

// Start begins to ask, at once.
func (s *Survey) Start(ctx context.Context) error {
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(s.done)
		s.run(ctx)
	}()
	return nil
}

// Stop ends it; an asking under way is cancelled.
func (s *Survey) Stop(ctx context.Context) error {
	s.cancel()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop asking for %s: %w", s.cfg.Name, context.Cause(ctx))
	}
}

func (s *Survey) run(ctx context.Context) {
	failed := false
	for {
		began := time.Now()
		asking, cancel := context.WithTimeout(ctx, s.cfg.Limit)
		err := s.cfg.Ask(asking)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.cfg.Lost()
			if !failed { // once for each time that it goes away
				s.cfg.Log.Warn("figures are missing", zap.String("of", s.cfg.Name), zap.Error(err))
			}
		}
		failed = err != nil
		pause := time.NewTimer(max(s.cfg.Every, thrift*time.Since(began)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

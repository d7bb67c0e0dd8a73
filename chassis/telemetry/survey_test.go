package telemetry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/cupline/cupline/chassis/telemetry"
)

func TestSurveyAsksOnAndTakesBackWhatIsLost(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zapcore.WarnLevel)
	asked, lost := make(chan struct{}), make(chan struct{}, 10)
	answers := []error{nil, errors.New("away"), errors.New("away"), nil, errors.New("away again")}
	s := telemetry.NewSurvey(telemetry.SurveyConfig{
		Name: "things", Every: time.Millisecond, Limit: time.Minute, Log: zap.New(core),
		Ask: func(ctx context.Context) error {
			select {
			case asked <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			if len(answers) == 0 {
				return nil
			}
			err := answers[0]
			answers = answers[1:]
			return err
		},
		Lost: func() { lost <- struct{}{} },
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		<-asked
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(lost); n != 3 {
		t.Errorf("taken back %d times, want 3", n)
	}
	if n := logged.Len(); n != 2 {
		t.Errorf("logged %d times, want once for each time that it went away", n)
	}
}

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// askEvery is how often a starting program is asked whether it serves.
	askEvery = 50 * time.Millisecond
	// answerLimit bounds one such question.
	answerLimit = 2 * time.Second
)

// Ready asks each check in turn, again and again, until it returns nil. The error says that the process ended
// meanwhile, at once, or that ctx was done first (with its cause), and what the last check said.
func (p *Process) Ready(ctx context.Context, checks ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := p.Wait(ctx); ctx.Err() == nil {
			cancel(errors.Join(fmt.Errorf("%s ended while it started", p.note.Name), err))
		}
	}()
	defer func() {
		cancel(nil)
		<-watched
	}()
	for _, check := range checks {
		if err := untilNil(ctx, check); err != nil {
			return err
		}
	}
	return nil
}

func untilNil(ctx context.Context, check func(context.Context) error) error {
	for {
		asking, cancel := context.WithTimeout(ctx, answerLimit)
		err := check(asking)
		cancel()
		if err == nil {
			return nil
		}
		if !pause(ctx, askEvery) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// Tail is the end of each file that can be read, for an error that tells why a program did not start.
func Tail(paths ...string) string {
	const most = 2000
	var all []byte
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		all = append(all, content[max(0, len(content)-most):]...)
	}
	return string(all)
}

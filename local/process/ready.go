package process

import (
	"context"
	"errors"
	"fmt"
	"io"
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
// What is no regular file has no end, and is left out.
func Tail(paths ...string) string {
	var all []byte
	for _, path := range paths {
		all = append(all, tail(path)...)
	}
	return string(all)
}

func tail(path string) []byte {
	const most = 2000
	about, err := os.Stat(path)
	if err != nil || !about.Mode().IsRegular() {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	content := make([]byte, min(about.Size(), most))
	n, err := file.ReadAt(content, about.Size()-int64(len(content)))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return content[:n]
}

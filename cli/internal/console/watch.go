package console

import (
	"context"
	"time"
)

// watchEach is how often it is asked how something goes on.
const watchEach = 500 * time.Millisecond

// Watch asks how something goes on until it no longer does, and draws each state, the last one too. It returns the last state that is
// known, also with the error: ctx's cause where the watcher was interrupted.
func Watch[T any](ctx context.Context, state T, goesOn func(T) bool, draw func(T), ask func(context.Context) (T, error)) (T, error) {
	tick := time.NewTicker(watchEach)
	defer tick.Stop()
	for goesOn(state) {
		draw(state)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return state, context.Cause(ctx)
		}
		next, err := ask(ctx)
		switch {
		case ctx.Err() != nil:
			return state, context.Cause(ctx)
		case err != nil:
			return state, err
		}
		state = next
	}
	draw(state)
	return state, nil
}

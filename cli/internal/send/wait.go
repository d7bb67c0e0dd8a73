package send

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
)

const (
	// onlineLimit is how long to wait for the WebSocket before sending all the same: the
	// ledger tells the outcome as well, later.
	onlineLimit = 5 * time.Second
	// askEvery is how often the ledger is asked: for when outcomes of other commands fill the
	// window, or the pusher is away.
	askEvery = 2 * time.Second
	ackLimit = 5 * time.Second
)

// waiter receives one command's outcome and leaves those of others to whoever wants them.
type waiter struct {
	client   *cupline.Client
	listener *cupline.Listener
	// others tells that outcomes of other commands came, unacked: then ours, behind them,
	// is not acked over the socket either.
	others atomic.Bool
}

func sendAndWait(ctx context.Context, c *console.Console, device, method string, params any, o options) error {
	client, err := connect.Pushed(c)
	if err != nil {
		return err
	}
	w := &waiter{client: client}
	if w.listener, err = client.Listen(cupline.ListenConfig{Handle: w.leave}); err != nil {
		return err
	}
	defer func() { _ = w.listener.Close() }() // finish has closed it, or an error is told already
	if err := w.online(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("it did not come within %s", o.timeout))
	defer cancel()
	call, err := w.listener.Begin(ctx, device, method, params, o.send)
	if err != nil {
		return err
	}
	defer call.Forget()
	outcome, err := w.outcome(ctx, call)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return fmt.Errorf("command %s was accepted, its outcome is still to come: %w", call.Accepted.CommandID, err)
		}
		return exit.With(exit.NoOutcome, fmt.Errorf("%w; ask for it later with GET /v1/commands/%s", err, call.Accepted.CommandID))
	}
	if err := w.finish(ctx, outcome); err != nil {
		c.Note("cupline: the outcome was received and will come again, because it could not be acked: %v", err)
	}
	if err := c.Result(outcome, func(out *strings.Builder) { fmt.Fprintf(out, "%s\n", outcome.Response) }); err != nil {
		return err
	}
	_, err = outcome.Result()
	return err
}

// leave holds an outcome of another command until the connection ends, so that it is
// not acked and comes again to its own listener.
func (w *waiter) leave(ctx context.Context, _ cupline.Outcome) error {
	w.others.Store(true)
	<-ctx.Done()
	return context.Cause(ctx)
}

// online waits for the socket for a moment. Only a platform that wants no more of this
// key is an error.
func (w *waiter) online(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, onlineLimit)
	defer cancel()
	if err := w.listener.WaitOnline(waiting); err != nil && w.listener.Err() != nil {
		return err
	}
	return ctx.Err()
}

// outcome comes over the socket, or from the ledger.
func (w *waiter) outcome(ctx context.Context, call *cupline.Call) (cupline.Outcome, error) {
	for {
		asking, cancel := context.WithTimeout(ctx, askEvery)
		outcome, err := call.Wait(asking)
		cancel()
		if err == nil {
			return outcome, nil
		}
		// What the ledger cannot say now it may say next time.
		if command, err := w.client.Command(ctx, call.Accepted.CommandID); err == nil {
			if outcome, decided := command.Outcome(); decided {
				w.others.Store(true)
				return outcome, nil
			}
		}
		if ctx.Err() != nil {
			return cupline.Outcome{}, fmt.Errorf("wait for the outcome of command %s, which was accepted: %w", call.Accepted.CommandID, context.Cause(ctx))
		}
	}
}

// finish closes the connection, which acks what was handled, and acks over HTTP what that
// could not.
func (w *waiter) finish(ctx context.Context, outcome cupline.Outcome) error {
	_ = w.listener.Close() // whatever it says, the outcome is here
	if !w.others.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackLimit)
	defer cancel()
	return w.client.AckMailbox(ctx, outcome.CommandID)
}

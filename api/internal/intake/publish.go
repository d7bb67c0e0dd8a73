package intake

import (
	"context"
	"errors"
	"time"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
)

// Fate is what became of a message that was not confirmed.
type Fate uint8

// The fates. After all but InDoubt no queue has the message.
const (
	// InDoubt: sent, and never confirmed.
	InDoubt Fate = iota
	// Unroutable: no queue is bound for it.
	Unroutable
	// QueueFull: its queue refused it.
	QueueFull
	// Unavailable: no link to the broker.
	Unavailable
	// Blocked: the broker takes no messages, for want of memory or disk.
	Blocked
	// Unsendable: the message cannot be written at all.
	Unsendable
)

// PublishError is why a message was not confirmed.
type PublishError struct {
	Fate  Fate
	Cause error
}

func (e *PublishError) Error() string { return e.Cause.Error() }

// Unwrap is the cause.
func (e *PublishError) Unwrap() error { return e.Cause }

var fates = map[Fate]problem.Code{
	InDoubt:     problem.InDoubt,
	Unroutable:  problem.LaneUnavailable,
	QueueFull:   problem.QueueFull,
	Unavailable: problem.BrokerUnavailable,
	Blocked:     problem.BrokerBlocked,
	Unsendable:  problem.Internal,
}

// publish sends all commands at once and waits for what becomes of each. A client that
// hangs up meanwhile changes nothing about that.
func (in *Intake) publish(ctx context.Context, now time.Time, commands []envelope.Command, requests []jsonrpc.Request) []Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), in.cfg.PublishTimeout)
	defer cancel()
	results := make([]Result, len(commands))
	for i := range commands {
		results[i] = Result{ID: requests[i].ID.Raw, CommandID: commands[i].ID, Expires: commands[i].Deadline}
	}
	if len(commands) == 1 {
		in.settle(&results[0], &commands[0], in.cfg.Publisher.Publish(ctx, commands[0].Message(now)))
		return results
	}
	type confirm struct {
		item int
		err  error
	}
	confirms := make(chan confirm, len(commands)) // room for all, so that no callback ever waits
	for i := range commands {
		in.cfg.Publisher.Submit(ctx, commands[i].Message(now), func(err error) { confirms <- confirm{i, err} })
	}
	for range commands {
		c := <-confirms
		in.settle(&results[c.item], &commands[c.item], c.err)
	}
	return results
}

// settle notes what became of one command.
func (in *Intake) settle(r *Result, c *envelope.Command, err error) {
	if err == nil {
		in.cfg.Observer.Accepted(c.Tenant, c.Lane)
		return
	}
	code := problem.InDoubt
	var failed *PublishError
	if errors.As(err, &failed) {
		code = fates[failed.Fate]
	}
	r.Problem = problem.From(code, err)
	r.Problem.ID, r.Problem.CommandID, r.Problem.Lane = r.ID, r.CommandID, c.Lane
	in.cfg.Observer.NotAccepted(c.Tenant, code)
}

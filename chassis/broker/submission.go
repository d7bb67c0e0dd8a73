package broker

import (
	"context"
	"fmt"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/cupline/cupline/chassis/failpoint"
)

// A submission is queued; then either its channel's goroutine claims it, and from there on
// it is being sent, or its submitter abandons it, and it is known not to be.
const (
	queued int32 = iota
	claimed
	abandoned
)

// submission is one message on its way through one channel.
type submission struct {
	channel   *publishing
	content   amqp.Publishing
	exchange  string
	key       string
	mandatory bool
	state     atomic.Int32
	written   chan struct{} // gets one value once confirm or err is set; after claim always

	// Set by the channel's goroutine before written.
	confirm *amqp.DeferredConfirmation
	err     error

	// Guarded by channel.mu.
	token       int64 // 0: told apart without it
	wasReturned bool
}

func (sub *submission) claim() bool   { return sub.state.CompareAndSwap(queued, claimed) }
func (sub *submission) abandon() bool { return sub.state.CompareAndSwap(queued, abandoned) }

// await waits for the broker's answer, within ctx.
func (sub *submission) await(ctx context.Context) error {
	g := sub.channel
	if given, err := sub.awaitWrite(ctx); given {
		return err
	}
	if sub.err != nil {
		return sub.err
	}
	failpoint.Pass(failpoint.AfterPublish)
	select {
	case <-sub.confirm.Done():
		return g.settle(sub)
	case <-ctx.Done():
		return sub.leave(ctx, true)
	}
}

// awaitWrite returns given when there is an answer already: the message was not written,
// or nobody knows.
func (sub *submission) awaitWrite(ctx context.Context) (given bool, err error) {
	g := sub.channel
	raised, gone := g.session.alarm.raised(), g.gone
	for {
		select {
		case <-sub.written:
			return false, nil
		case <-raised:
			if sub.abandon() {
				return true, g.blocked()
			}
			raised = nil
		case <-gone:
			if sub.abandon() {
				return true, fmt.Errorf("%w: the channel was closed", ErrUnavailable)
			}
			gone = nil
		case <-ctx.Done():
			if sub.abandon() {
				return true, unsent(ctx, "wait to be written")
			}
			return true, sub.leave(ctx, false)
		}
	}
}

// leave stops waiting for a message that was sent, or (written is not seen yet) is just
// being sent. Its place in the window stays taken until the broker has answered or the
// channel is gone, one of which always comes.
func (sub *submission) leave(ctx context.Context, written bool) error {
	g := sub.channel
	g.session.link.background(func() {
		if !written {
			<-sub.written
		}
		if sub.err == nil {
			<-sub.confirm.Done()
			_ = g.settle(sub) // nobody asks any more
		}
	})
	return fmt.Errorf("%w: %w", ErrInDoubt, ctx.Err())
}

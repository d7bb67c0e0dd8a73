package feed_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/dispatcher/internal/feed"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
)

// recorder is a recorder as a test directs it.
type recorder func(ctx context.Context, m *message.Message) (*envelope.Outcome, error)

func (r recorder) Settle(ctx context.Context, m *message.Message) (*envelope.Outcome, error) {
	return r(ctx, m)
}

func newLetters(t *testing.T, settle recorder) (*rig, *feed.Letters) {
	t.Helper()
	r := prepare(t)
	letters := feed.NewLetters(r.consuming, feed.LettersConfig{
		Prefetch: 4, Recorder: settle, Sender: r.sender, Log: zaptest.NewLogger(t), Metrics: r.metrics,
	})
	brokertest.Start(t, r.consuming)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = letters.Stop(ctx) // a test that cares stops it by itself
	})
	return r, letters
}

func bury(t *testing.T, r *rig, c envelope.Command) {
	t.Helper()
	r.broker.Publish(t, envelope.Bury(c.Message(time.Now()), envelope.Verdict{Reason: outcome.NoAnswer}))
}

func told(t *testing.T, m *message.Message) *envelope.Outcome {
	t.Helper()
	c, err := dispatch.Read(&message.Message{
		Key: m.Key, ID: m.ID, Type: m.Type, ReplyTo: m.ReplyTo, Headers: m.Headers, Body: m.Body,
	})
	if err != nil {
		t.Error(err)
		return nil
	}
	return c.Outcome(&dispatch.Decided{At: time.Now(), Origin: envelope.OriginPlatform, Reason: outcome.NoAnswer, Body: []byte("{}")})
}

func TestLetterIsAcknowledgedAfterItsOutcome(t *testing.T) {
	t.Parallel()
	r, letters := newLetters(t, func(_ context.Context, m *message.Message) (*envelope.Outcome, error) { return told(t, m), nil })
	r.publishes.Refuse()
	brokertest.Eventually(t, "nothing can be published", func() bool { return r.publishing.Ready() != nil })
	c := command(setRelay)
	bury(t, r, c)
	brokertest.Eventually(t, "the outcome was tried", func() bool { return r.count(t, "cupline_publish_retries_total") > 0 })
	reconnected(t, r.consuming, r.consumes.Cut) // still there: it was not acknowledged
	r.publishes.Heal()
	if m := r.broker.Get(t, mailbox); m.ID != c.ID.String() {
		t.Errorf("the outcome is of %s", m.ID)
	}
	if err := letters.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	r.broker.Empty(t, deadQueue)
}

func TestLetterWithNobodyToTellIsAcknowledged(t *testing.T) {
	t.Parallel()
	settled := make(chan struct{}, 1)
	r, letters := newLetters(t, func(context.Context, *message.Message) (*envelope.Outcome, error) {
		settled <- struct{}{}
		return nil, nil
	})
	bury(t, r, command(setRelay))
	await(t, "it is settled", settled)
	if err := letters.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	r.broker.Empty(t, deadQueue)
	r.broker.Empty(t, mailbox)
}

// TestWaitingLettersGoBackAtTheStop has the database away, or a worker held.
func TestWaitingLettersGoBackAtTheStop(t *testing.T) {
	t.Parallel()
	var waiting atomic.Int32
	r, letters := newLetters(t, func(ctx context.Context, _ *message.Message) (*envelope.Outcome, error) {
		waiting.Add(1)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	for range 3 {
		bury(t, r, command(setRelay))
	}
	brokertest.Eventually(t, "all wait", func() bool { return waiting.Load() == 3 })
	if err := letters.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	brokertest.Eventually(t, "all are back", func() bool { return r.broker.Depth(t, deadQueue) == 3 })
}

// TestSettlingEndsWithItsDelivery: the letter goes to somebody else, who may hold it as long.
func TestSettlingEndsWithItsDelivery(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}, 4), make(chan struct{}, 4)
	r, _ := newLetters(t, func(ctx context.Context, _ *message.Message) (*envelope.Outcome, error) {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return nil, context.Cause(ctx)
	})
	bury(t, r, command(setRelay))
	await(t, "it is being settled", begun)
	r.consumes.Cut()
	await(t, "it ends", ended)
	await(t, "it begins anew", begun)
}

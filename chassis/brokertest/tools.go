package brokertest

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// tools are the helpers' own links.
type tools struct {
	link      *broker.Link
	publisher *broker.Publisher
}

func newTools(t testing.TB, b *Broker) *tools {
	t.Helper()
	// Not logged: what is cut is cut on purpose.
	link := broker.NewLink(broker.Config{URL: b.URL(), Name: "brokertest", Log: zap.NewNop()})
	tools := &tools{link: link, publisher: broker.NewPublisher(link, broker.PublisherConfig{Name: "brokertest"})}
	Start(t, link)
	return tools
}

// Do runs f with a session of the helpers' own link.
func (b *Broker) Do(t testing.TB, what string, f func(ctx context.Context, s *broker.Session) error) {
	t.Helper()
	if err := b.try(f); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func (b *Broker) try(f func(ctx context.Context, s *broker.Session) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := b.tools.link.Wait(ctx); err != nil {
		return err
	}
	return b.tools.link.Do(ctx, f)
}

// Declare declares topologies; what is there with other arguments fails the test.
func (b *Broker) Declare(t testing.TB, topologies ...topology.Topology) {
	t.Helper()
	b.Do(t, "declare", func(ctx context.Context, s *broker.Session) error {
		drifts, err := s.Declare(ctx, topology.Merge(topologies...))
		for _, drift := range drifts {
			t.Errorf("declare: %s", drift)
		}
		return err
	})
}

// Depth is the number of messages in a queue that are ready to be delivered.
func (b *Broker) Depth(t testing.TB, queue string) int {
	t.Helper()
	depth := 0
	b.Do(t, "depth of "+queue, func(ctx context.Context, s *broker.Session) (err error) {
		depth, _, err = s.Inspect(ctx, queue)
		return err
	})
	return depth
}

// Consumers is the number of consumers of a queue.
func (b *Broker) Consumers(t testing.TB, queue string) int {
	t.Helper()
	consumers := 0
	b.Do(t, "consumers of "+queue, func(ctx context.Context, s *broker.Session) (err error) {
		_, consumers, err = s.Inspect(ctx, queue)
		return err
	})
	return consumers
}

// QueueExists tells whether a queue is there, also when it is another connection's
// exclusive one.
func (b *Broker) QueueExists(t testing.TB, queue string) bool {
	t.Helper()
	err := b.try(func(ctx context.Context, s *broker.Session) error {
		_, _, err := s.Inspect(ctx, queue)
		return err
	})
	switch {
	case err == nil, errors.Is(err, broker.ErrLocked):
		return true
	case errors.Is(err, broker.ErrNotFound):
		return false
	}
	t.Fatalf("look for queue %s: %v", queue, err)
	return false
}

// Publish publishes each message, confirmed.
func (b *Broker) Publish(t testing.TB, messages ...message.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := b.tools.link.Wait(ctx); err != nil {
		t.Fatalf("publish: %v", err)
	}
	answers := make(chan error, len(messages))
	for _, m := range messages {
		b.tools.publisher.Submit(ctx, m, func(err error) { answers <- err })
	}
	for range messages {
		if err := <-answers; err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
}

// Get takes the next message of a queue, and acks it. It waits up to a minute for one.
func (b *Broker) Get(t testing.TB, queue string) message.Message {
	t.Helper()
	return b.GetSome(t, queue, 1)[0]
}

// GetSome takes the next n messages of a queue, and acks them; no other is delivered, so
// that none is marked. It waits up to a minute for all of them.
func (b *Broker) GetSome(t testing.TB, queue string, n int) []message.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	taken := make(chan *broker.Delivery, n)
	link := broker.NewLink(broker.Config{URL: b.URL(), Name: "brokertest get"})
	consumer := broker.NewConsumer(link, broker.ConsumerConfig{
		// The prefetch is the limit: nothing is acked before consuming has ended.
		Queue: queue, Prefetch: n, Handle: func(_ context.Context, d *broker.Delivery) { taken <- d },
	})
	if err := link.Start(ctx); err != nil {
		t.Fatalf("get from %s: %v", queue, err)
	}
	defer func() { _ = link.Stop(context.Background()) }()
	var got []*broker.Delivery
	for len(got) < n {
		select {
		case d := <-taken:
			got = append(got, d)
		case <-ctx.Done():
			t.Fatalf("get from %s: %d of %d messages came: %v", queue, len(got), n, link.Ready())
		}
	}
	if err := consumer.Pause(ctx); err != nil {
		t.Fatalf("get from %s: %v", queue, err)
	}
	messages := make([]message.Message, 0, n)
	for _, d := range got {
		d.Ack()
		messages = append(messages, d.Message)
	}
	if err := consumer.Drain(ctx); err != nil {
		t.Fatalf("get from %s: %v", queue, err)
	}
	return messages
}

// Empty fails the test unless the queue has no ready message now.
func (b *Broker) Empty(t testing.TB, queue string) {
	t.Helper()
	if depth := b.Depth(t, queue); depth != 0 {
		t.Fatalf("%s has %d messages, want none", queue, depth)
	}
}

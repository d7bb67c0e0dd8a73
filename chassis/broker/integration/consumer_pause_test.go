package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	c := newConsuming(t, broker.ConsumerConfig{Prefetch: 2}, quorum("work", nil))
	ctx := within(t)
	c.fill(t, 1)
	held := c.next(t, "0")
	for range 2 { // twice is fine
		if err := c.Pause(ctx); err != nil {
			t.Fatal(err)
		}
	}
	c.host.Publish(t, to("work", "1"))
	held.Ack() // still ours
	if depth := c.host.Depth(t, "work"); depth != 1 || len(c.came) != 0 {
		t.Fatalf("%d waiting, %d came", depth, len(c.came))
	}
	for range 3 { // quickly, one after the other
		if err := c.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		if err := c.Pause(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	d := c.next(t, "1")
	if d.DeliveryCount != 0 {
		t.Fatalf("delivered %d times before: a pause lost it", d.DeliveryCount)
	}
	// An ack goes out in its own time, and a cut must find it taken: pausing is answered after it on this channel.
	acked := c.proxy.Seen([]byte{0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 2}) // basic.ack of the second delivery
	d.Ack()
	closed(t, "its ack", acked)
	if err := c.Pause(ctx); err != nil {
		t.Fatal(err)
	}
	c.proxy.Cut()
	waitFor(t, c.link, "up again", func(s broker.Status) bool { return s.Generation == 2 && s.State == broker.Up })
	c.host.Publish(t, to("work", "2"))
	if n := c.host.Consumers(t, "work"); n != 0 {
		t.Fatalf("%d consumers after a reconnect", n)
	}
	if err := c.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	c.next(t, "2").Ack()
}

func TestDrainHandsBackWhatWasNotHandedOut(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	handed := make(chan *broker.Delivery, 10)
	c := newConsuming(t, broker.ConsumerConfig{Prefetch: 10, Handle: func(_ context.Context, d *broker.Delivery) {
		handed <- d
		<-release
	}}, quorum("work", nil))
	c.fill(t, 5)
	first := receive(t, "the first", handed)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	drained := make(chan error, 1)
	asked := c.proxy.Seen([]byte{0, 60, 0, 30}) // basic.cancel; a quorum queue counts a consumer until all that it has is settled
	go func() { drained <- c.Drain(ctx) }()
	closed(t, "the cancel", asked)
	if err := c.Resume(within(t)); err != nil { // has its turn once that is known here, too
		t.Fatal(err)
	}
	cancel()
	if err := receive(t, "the end of the drain", drained); !errors.Is(err, context.Canceled) || err.Error() != "drain work: 1 deliveries are not settled: context canceled" {
		t.Fatalf("got %v", err)
	}
	close(release)
	brokertest.Eventually(t, "the rest is back in the queue", func() bool { return c.host.Depth(t, "work") == 4 })
	first.Ack()
	for range 2 { // twice is fine
		if err := c.Drain(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if len(handed) != 0 {
		t.Fatalf("%d more were handed out", len(handed))
	}
	if err := c.Resume(within(t)); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "the queue has no consumer", func() bool { return c.host.Consumers(t, "work") == 0 })
	c.proxy.Cut()
	waitFor(t, c.link, "up again", func(s broker.Status) bool { return s.Generation == 2 && s.State == broker.Up })
	if ids := c.leftovers(t); len(ids) != 4 {
		t.Fatalf("left are %v, want 4 of them", ids)
	}
}

// TestADeletedQueueIsDeclaredAgain: the broker cancels the consumer, and only the link's
// steps can bring its queue back.
func TestADeletedQueueIsDeclaredAgain(t *testing.T) {
	t.Parallel()
	c := newConsuming(t, broker.ConsumerConfig{}, quorum("work", nil))
	c.host.Do(t, "delete", func(ctx context.Context, s *broker.Session) error { return s.DeleteQueue(ctx, "work", false, false) })
	waitFor(t, c.link, "up again", func(s broker.Status) bool { return s.Generation == 2 && s.State == broker.Up })
	c.fill(t, 1)
	c.next(t, "0").Ack()
}

// TestAClosedChannelIsOpenedAgain without disturbing the connection: an ack of a tag that
// does not exist makes the broker close the channel.
func TestAClosedChannelIsOpenedAgain(t *testing.T) {
	t.Parallel()
	c := newConsuming(t, broker.ConsumerConfig{}, quorum("work", nil))
	c.fill(t, 1)
	lost := c.next(t, "0")
	// basic.ack of tag 99 on channel 1, which is the declaring one, 2 the consumer's.
	c.proxy.InjectUp([]byte{1, 0, 2, 0, 0, 0, 13, 0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0xCE})
	closed(t, "the loss", lost.Lost())
	lost.Ack()
	again := c.next(t, "0")
	if again.Generation != 1 || again.DeliveryCount != 1 {
		t.Fatalf("generation %d, count %d", again.Generation, again.DeliveryCount)
	}
	again.Ack()
	brokertest.Eventually(t, "it is settled", func() bool { return c.Unsettled() == 0 })
}

func TestStopFlushesAcks(t *testing.T) {
	t.Parallel()
	c := newConsuming(t, broker.ConsumerConfig{AckRun: broker.AckRun{Delay: time.Hour}}, quorum("work", nil))
	c.fill(t, 5)
	gap := c.next(t, "0")
	for i := 1; i < 5; i++ {
		c.next(t, fmt.Sprint(i)).Ack() // behind a gap: nothing is due
	}
	if ids := c.leftovers(t); len(ids) != 1 || ids[0] != gap.ID {
		t.Fatalf("left are %v", ids)
	}
}

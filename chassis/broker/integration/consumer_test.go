package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// consuming is a link with a consumer, through a proxy.
type consuming struct {
	*broker.Consumer
	host  *brokertest.Broker
	link  *broker.Link
	proxy *linktest.Proxy
	came  chan *broker.Delivery
}

func newConsuming(t testing.TB, cfg broker.ConsumerConfig, declared ...topology.Topology) *consuming {
	t.Helper()
	host := brokertest.New(t)
	c := &consuming{host: host, proxy: host.Proxy(t), came: make(chan *broker.Delivery, 10_000)}
	config := host.Config(t, "consumer")
	config.URL = host.ProxyURL(c.proxy)
	c.link = broker.NewLink(config)
	declaring(c.link, topology.Merge(declared...))
	cfg.Queue = "work"
	if cfg.Handle == nil {
		cfg.Handle = func(_ context.Context, d *broker.Delivery) { c.came <- d }
	}
	c.Consumer = broker.NewConsumer(c.link, cfg)
	brokertest.Start(t, c.link)
	return c
}

// fill publishes n messages with ids from 0.
func (c *consuming) fill(t testing.TB, n int) {
	t.Helper()
	var messages []message.Message
	for i := range n {
		messages = append(messages, to("work", fmt.Sprint(i)))
	}
	c.host.Publish(t, messages...)
}

// next is the next delivery, which must have this id.
func (c *consuming) next(t testing.TB, id string) *broker.Delivery {
	t.Helper()
	d := receive(t, "delivery "+id, c.came)
	if d.ID != id {
		t.Fatalf("got %s, want %s", d.ID, id)
	}
	return d
}

// leftovers stops the link, and returns the ids that the queue still has.
func (c *consuming) leftovers(t testing.TB) []string {
	t.Helper()
	if err := c.link.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "the consumer is gone", func() bool { return c.host.Consumers(t, "work") == 0 })
	var ids []string
	c.host.Do(t, "drain", func(ctx context.Context, s *broker.Session) error {
		return s.Drain(ctx, "work", func(_ context.Context, d *broker.Delivery) error {
			ids = append(ids, d.ID)
			return nil
		})
	})
	return ids
}

func TestConsumeInOrderAndAck(t *testing.T) {
	t.Parallel()
	c := newConsuming(t, broker.ConsumerConfig{Prefetch: 50}, quorum("work", nil))
	const n = 500
	c.fill(t, n)
	for i := range n {
		d := c.next(t, fmt.Sprint(i))
		if d.Redelivered || d.DeliveryCount != 0 || d.Generation != 1 || string(d.Body) != "body of "+d.ID {
			t.Fatalf("got %+v", d)
		}
		d.Ack()
	}
	if err := c.Drain(within(t)); err != nil {
		t.Fatal(err)
	}
	if ids := c.leftovers(t); len(ids) != 0 {
		t.Fatalf("%v were acked, and are there", ids)
	}
}

func TestRejectDeadLettersAndRequeueHandsBack(t *testing.T) {
	t.Parallel()
	dead := topology.Topology{
		Exchanges: []topology.Exchange{{Name: "dead", Kind: topology.Topic, Durable: true}},
		Queues:    []topology.Queue{{Name: "dead", Arguments: map[string]any{"x-queue-type": "quorum"}}},
		Bindings:  []topology.Binding{{Source: "dead", Key: "#", Destination: "dead"}},
	}
	c := newConsuming(t, broker.ConsumerConfig{}, dead, quorum("work", map[string]any{"x-dead-letter-exchange": "dead"}))
	c.fill(t, 2)
	c.next(t, "0").Requeue()
	c.next(t, "1").Ack()
	again := c.next(t, "0")
	if !again.Redelivered || again.DeliveryCount != 1 {
		t.Fatalf("redelivered %t, count %d", again.Redelivered, again.DeliveryCount)
	}
	again.Reject()
	again.Ack() // the first verdict counts
	letter := c.host.Get(t, "dead")
	deaths, _ := letter.Headers["x-death"].([]any)
	if len(deaths) != 1 || letter.Key != "work" {
		t.Fatalf("got %+v", letter)
	}
	if death, _ := deaths[0].(map[string]any); death["reason"] != "rejected" || death["queue"] != "work" {
		t.Fatalf("died of %v", deaths[0])
	}
}

// TestSettleInRandomOrder: with verdicts in any order from many goroutines, and the link
// drained in the middle, exactly what was acked is gone.
func TestSettleInRandomOrder(t *testing.T) {
	t.Parallel()
	c := newConsuming(t, broker.ConsumerConfig{Prefetch: 64, AckRun: broker.AckRun{Delay: 5 * time.Millisecond}}, quorum("work", nil))
	const n = 3000
	acked := make([]atomic.Bool, n)
	var left atomic.Int64
	left.Store(n / 2)
	half := make(chan struct{})
	var workers sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	for range 4 {
		workers.Go(func() {
			var held []*broker.Delivery
			settle := func() {
				i := rand.IntN(len(held))
				d := held[i]
				held = append(held[:i], held[i+1:]...)
				var id int
				if _, err := fmt.Sscan(d.ID, &id); err != nil || acked[id].Swap(true) {
					t.Errorf("%s was acked, and came again", d.ID)
				}
				d.Ack()
				if left.Add(-1) == 0 {
					close(half)
				}
			}
			for {
				select {
				case d := <-c.came:
					held = append(held, d)
					if len(held) > 10 {
						settle()
					}
				case <-ctx.Done():
					for len(held) > 0 {
						settle()
					}
					return
				}
			}
		})
	}
	c.fill(t, n)
	closed(t, "half of it", half)
	// First the acks: a quorum queue keeps those that come faster than it can write them, and forgets them when the channel is closed.
	// What cancels, a drain, is answered after them.
	stop()
	workers.Wait()
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(within(t)) }()
	over := false
	for !over { // what came, and no worker took
		select {
		case d := <-c.came:
			d.Requeue()
		case err := <-drained:
			if err != nil {
				t.Fatal(err)
			}
			over = true
		}
	}
	ids := c.leftovers(t)
	for _, id := range ids {
		var i int
		if _, err := fmt.Sscan(id, &i); err != nil || acked[i].Swap(true) {
			t.Errorf("%s was acked, and is there", id)
		}
	}
	for i := range acked {
		if !acked[i].Load() {
			t.Fatalf("%d is lost", i)
		}
	}
	t.Logf("%d left in the queue", len(ids))
}

// TestAnOldDeliveryIsNeverSettled: a verdict after a reconnect must not fall on the
// delivery that has the same tag now.
func TestAnOldDeliveryIsNeverSettled(t *testing.T) {
	t.Parallel()
	c := newConsuming(t, broker.ConsumerConfig{Prefetch: 3}, quorum("work", nil))
	c.fill(t, 3)
	old := []*broker.Delivery{c.next(t, "0"), c.next(t, "1"), c.next(t, "2")}
	c.proxy.Refuse() // or they would be here again while they are counted
	for _, d := range old {
		closed(t, "the loss", d.Lost())
	}
	if c.Unsettled() != 0 {
		t.Fatalf("%d are unsettled after the loss", c.Unsettled())
	}
	c.proxy.Heal()
	fresh := map[string]*broker.Delivery{}
	for range old {
		d := receive(t, "a redelivery", c.came)
		if d.Generation != 2 || !d.Redelivered || d.DeliveryCount != 1 {
			t.Fatalf("got generation %d, redelivered %t, count %d", d.Generation, d.Redelivered, d.DeliveryCount)
		}
		fresh[d.ID] = d
	}
	for _, d := range old {
		d.Ack()
	}
	fresh["1"].Ack()
	brokertest.Eventually(t, "one is settled", func() bool { return c.Unsettled() == 2 })
	if ids := c.leftovers(t); len(ids) != 2 {
		t.Fatalf("left are %v, want 0 and 2", ids)
	}
}

func TestTheContextEndsWithTheDelivery(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}, 10), make(chan struct{}, 10)
	c := newConsuming(t, broker.ConsumerConfig{Handle: func(ctx context.Context, d *broker.Delivery) {
		if d.DeliveryCount > 0 {
			d.Ack()
			return
		}
		began <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
	}}, quorum("work", nil))
	c.fill(t, 1)
	receive(t, "the handler", began)
	c.proxy.Cut()
	receive(t, "its end", ended)
	brokertest.Eventually(t, "it is handled again", func() bool { return c.host.Depth(t, "work") == 0 && c.Unsettled() == 0 })
}

package integration

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/dispatcher/internal/dispatchtest"
	"github.com/cupline/cupline/schema/envelope"
)

// BenchmarkBacklog works off a queue of commands whose driver answers at once: what the
// dispatcher, its broker and its database do for each command, batched as under load.
func BenchmarkBacklog(b *testing.B) {
	p := newPlatform(b)
	p.put(b, "nothing", "noop", "")
	link := p.broker.Link(b, "bench")
	publisher := broker.NewPublisher(link, broker.PublisherConfig{})
	if err := link.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	d := p.start(b, "CUPLINE_ROLES=work")
	brokertest.Eventually(b, "the dispatcher consumes", func() bool { return p.broker.Consumers(b, workQueue) > 0 })
	noop := func(c *envelope.Command) { c.Driver, c.DeviceType, c.Device = "noop", "noop", "nothing" }
	publish(b, p, publisher, 100, noop) // prepares statements, fills caches
	brokertest.Within(b, time.Minute, "it is warm", func() bool { return d.metric("cupline_outcomes_total") == 100 })
	b.ResetTimer()
	publish(b, p, publisher, b.N, noop)
	brokertest.Within(b, 10*time.Minute, "all outcomes are out", func() bool {
		return int(d.metric("cupline_outcomes_total")) == b.N+100
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

func publish(b *testing.B, _ *platform, publisher *broker.Publisher, n int, change func(*envelope.Command)) {
	b.Helper()
	var confirmed sync.WaitGroup
	confirmed.Add(n)
	for i := range n {
		c := dispatchtest.Envelope(request(i, "m"), change, func(c *envelope.Command) { c.Client = "bench-" + c.ID.String() })
		publisher.Submit(context.Background(), c.Message(time.Now()), func(err error) {
			if err != nil {
				b.Error(err)
			}
			confirmed.Done()
		})
	}
	confirmed.Wait()
}

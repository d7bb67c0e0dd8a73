package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/topology"
)

// BenchmarkPublish is from Submit to the confirm of a quorum queue, 512 callers' worth under
// way at a time. The clock stops when the last confirm is in.
func BenchmarkPublish(b *testing.B) {
	host := brokertest.New(b)
	host.Declare(b, quorum("work", nil))
	link := host.Link(b, "bench")
	publisher := broker.NewPublisher(link, broker.PublisherConfig{Name: "bench"})
	ctx := context.Background()
	if err := link.Wait(within(b)); err != nil {
		b.Fatal(err)
	}
	message := to("work", "")
	message.Body = make([]byte, 256)
	message.Headers = map[string]any{"tenant": "demo", "client": "till-1", "expires": int64(1)}
	b.ReportAllocs()
	b.ResetTimer()
	var pending sync.WaitGroup
	for i := range b.N {
		message.ID = fmt.Sprintf("id-%d", i)
		pending.Add(1)
		publisher.Submit(ctx, message, func(err error) {
			if err != nil {
				b.Error(err)
			}
			pending.Done()
		})
	}
	pending.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "confirms/s")
}

// BenchmarkConsume is from the first delivery to the last ack that the broker has taken.
func BenchmarkConsume(b *testing.B) {
	host := brokertest.New(b)
	host.Declare(b, quorum("work", nil))
	link := host.Link(b, "fill")
	publisher := broker.NewPublisher(link, broker.PublisherConfig{Name: "fill"})
	if err := link.Wait(within(b)); err != nil {
		b.Fatal(err)
	}
	var pending sync.WaitGroup
	message := to("work", "")
	message.Mandatory = false
	message.Body = make([]byte, 256)
	for range b.N {
		pending.Add(1)
		publisher.Submit(context.Background(), message, func(error) { pending.Done() })
	}
	pending.Wait()
	b.ReportAllocs()
	b.ResetTimer()
	done := make(chan struct{})
	left := b.N
	consuming := host.Link(b, "bench")
	consumer := broker.NewConsumer(consuming, broker.ConsumerConfig{Queue: "work", Handle: func(_ context.Context, d *broker.Delivery) {
		d.Ack()
		if left--; left == 0 {
			close(done)
		}
	}})
	<-done
	if err := consumer.Drain(within(b)); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
}

// BenchmarkBind is bindings of one queue to a transient direct exchange, 1,000 at a time.
func BenchmarkBind(b *testing.B) {
	host := brokertest.New(b)
	host.Declare(b, quorum("push", nil), topology.Topology{Exchanges: []topology.Exchange{{Name: "clients", Kind: topology.Direct}}})
	link := host.Link(b, "bench")
	b.ResetTimer()
	for n := range b.N {
		bindings := make([]topology.Binding, 1000)
		for i := range bindings {
			bindings[i] = topology.Binding{Source: "clients", Key: fmt.Sprintf("demo.client-%d-%d", n, i), Destination: "push"}
		}
		err := link.Do(context.Background(), func(ctx context.Context, s *broker.Session) error { return s.Bind(ctx, bindings...) })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "binds/s")
}

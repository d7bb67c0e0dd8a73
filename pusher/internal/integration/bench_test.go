package integration

import (
	"sync"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/push"
)

// BenchmarkPush measures outcomes from the replies exchange to the ack of the client, with
// 20 clients that ack every message at once, and everything settled at the broker when it
// ends.
func BenchmarkPush(b *testing.B) {
	const clients = 20
	bed := newBed(b)
	p := bed.start(b, "slot-0", func(s *app.Settings) { s.Window = 1024 }, quiet)
	link := bed.broker.Link(b, "bench")
	publisher := broker.NewPublisher(link, broker.PublisherConfig{Name: "bench"})
	if err := link.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	var acked sync.WaitGroup
	for i := range clients {
		c := p.connect(b, bed.key(b, ids(clients)[i]))
		go func() {
			for f := range c.frames {
				if f.Type == push.TypeOutcome {
					if len(c.frames) == 0 || f.Seq%32 == 0 {
						_ = c.ws.WriteMessage(1, push.ClientFrame{Type: push.TypeAck, Seq: f.Seq}.Line())
					}
					acked.Done()
				}
			}
		}()
	}
	names := ids(clients)
	template := outcome("", "bench")
	b.ReportAllocs()
	b.ResetTimer()
	acked.Add(b.N)
	for i := range b.N {
		o := template
		o.Client, o.CommandID = names[i%clients], uuid.Must(uuid.NewV7())
		publisher.Submit(b.Context(), o.Message(), func(err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	acked.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "outcomes/s")
	for _, line := range []string{`cupline_push_outcomes_total{source="live"}`, `cupline_push_outcomes_total{source="mailbox"}`, `cupline_push_lag_total{cause="window_full"}`} {
		b.Logf("%s %v", line, p.metric(b, line))
	}
}

// quiet keeps the log out of the measurement.
func quiet(s *app.Settings) { s.Log.Level = zap.ErrorLevel.String() }

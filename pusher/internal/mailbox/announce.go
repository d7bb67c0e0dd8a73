package mailbox

import (
	"context"
	"sync"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// announce tells the clients' pushers, waits for the confirms, and acks.
func (w *Writer) announce(ctx context.Context, stored []*broker.Delivery) {
	keys := make(map[string]message.Message, len(stored))
	for _, d := range stored {
		if tenant, client, ok := topology.ParseReplyKey(d.Key); ok {
			keys[d.Key] = envelope.Announce(tenant, client)
		}
	}
	ok := w.persist(ctx, stored, "announce stored outcomes", func(ctx context.Context) error {
		return w.publish(ctx, keys)
	})
	if !ok {
		return
	}
	failpoint.Pass(failpoint.BeforeAck)
	for _, d := range stored {
		d.Ack()
	}
}

// publish publishes all and returns when each is confirmed, or the first error. Those
// that were confirmed are taken out.
func (w *Writer) publish(ctx context.Context, all map[string]message.Message) error {
	var (
		mu      sync.Mutex // guards all and problem
		problem error
		waiting sync.WaitGroup
	)
	notices := make([]message.Message, 0, len(all))
	for _, m := range all {
		notices = append(notices, m)
	}
	for _, m := range notices {
		waiting.Add(1)
		w.cfg.Publisher.Submit(ctx, m, func(err error) {
			defer waiting.Done()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				problem = err
				return
			}
			delete(all, m.Key)
		})
	}
	waiting.Wait()
	return problem
}

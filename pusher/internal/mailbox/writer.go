// Package mailbox moves outcomes into clients' mailboxes and out of them: the Writer takes
// what the broker could not lead to a connected client, stores it and announces it; the
// Reader fetches what waits for the sessions of this pusher.
package mailbox

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/mailbox"
)

// Store keeps outcomes; store/mailbox.
type Store interface {
	Put(ctx context.Context, items []mailbox.Item) ([]mailbox.PutResult, error)
}

// Lot is where messages are parked that are no outcomes, or that the database refuses, for
// operators to look at. Park may be called again for the same message.
type Lot interface {
	Park(ctx context.Context, m *message.Message, detail string) error
}

// Publisher publishes with confirms; chassis/broker.
type Publisher interface {
	Submit(ctx context.Context, m message.Message, done func(error))
}

// Fates of what the writer takes, as metric labels.
const (
	FateStored    = "stored"
	FateAlready   = "already"
	FateDelivered = "delivered"
	FateMissed    = "missed"
	FateParked    = "parked"
	FateNotice    = "notice"
)

// WriterConfig of a Writer. All fields are required.
type WriterConfig struct {
	// Prefetch is the most messages taken and not settled; that bounds what is held while the database
	// is away.
	Prefetch int
	// Batch is the most outcomes stored in one transaction.
	Batch int
	// Timeout bounds one attempt to store, park or announce; RetryMin and RetryMax the wait
	// between; DrainLimit how long Stop waits for what was taken.
	Timeout, RetryMin, RetryMax, DrainLimit time.Duration

	Store     Store
	Lot       Lot
	Publisher Publisher
	// Fate counts what became of messages; it must not block.
	Fate func(fate string, n int)
	// Tracer of what is stored; nil is off.
	Tracer *tracing.Tracer
	Log    *zap.Logger
}

// Writer consumes the mailbox queue, in competition with the other pushers' writers. What
// it has stored it announces on the client's own key, and then acks: a client that connects at
// that moment misses nothing.
type Writer struct {
	cfg      WriterConfig
	consumer *broker.Consumer
	taken    chan *broker.Delivery
	cancel   context.CancelFunc
	done     chan struct{}
}

// NewWriter makes a writer, and registers on link what declares the queue and consumes it.
func NewWriter(link *broker.Link, cfg WriterConfig) *Writer {
	w := &Writer{
		cfg: cfg, cancel: func() {}, done: make(chan struct{}),
		// Of lost links some may be left, too; then handing over waits.
		taken: make(chan *broker.Delivery, cfg.Prefetch),
	}
	link.OnUp("declare the mailbox queue", func(ctx context.Context, s *broker.Session) error {
		drifts, err := s.Declare(ctx, topology.Replies())
		for _, d := range drifts {
			cfg.Log.Warn("the broker has it with other arguments; see `cupline topology`", zap.Stringer("drift", d))
		}
		return err
	})
	w.consumer = broker.NewConsumer(link, broker.ConsumerConfig{
		Queue: topology.MailboxQueue, Prefetch: cfg.Prefetch,
		Handle: func(ctx context.Context, d *broker.Delivery) {
			select {
			case w.taken <- d:
			case <-ctx.Done():
			}
		},
	})
	return w
}

// Start begins to store.
func (w *Writer) Start(ctx context.Context) error {
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go w.run(ctx)
	return nil
}

// Stop ends consuming, stores what was taken, within DrainLimit, and leaves the rest to the
// broker.
func (w *Writer) Stop(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, w.cfg.DrainLimit)
	defer cancel()
	err := w.consumer.Drain(limited)
	w.cancel()
	<-w.done
	return err
}

func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	for {
		select {
		case d := <-w.taken:
			w.write(ctx, w.gather(d))
		case <-ctx.Done():
			return
		}
	}
}

// gather takes what has come meanwhile: an idle writer stores at once, a busy one in batches.
func (w *Writer) gather(first *broker.Delivery) []*broker.Delivery {
	batch := append(make([]*broker.Delivery, 0, 16), first)
	for len(batch) < w.cfg.Batch {
		select {
		case d := <-w.taken:
			batch = append(batch, d)
		default:
			return batch
		}
	}
	return batch
}

// write stores, announces and acks one batch.
func (w *Writer) write(ctx context.Context, batch []*broker.Delivery) {
	items := make([]mailbox.Item, 0, len(batch))
	outcomes := batch[:0]
	for _, d := range batch {
		switch d.Type {
		case envelope.TypeAnnounce, envelope.TypeRelease:
			// Nobody holds that client.
			d.Ack()
			w.cfg.Fate(FateNotice, 1)
			continue
		}
		item, err := parse(&d.Message)
		if err != nil {
			w.park(ctx, d, err.Error())
			continue
		}
		span := w.trace(d, &item)
		defer span.End()
		items, outcomes = append(items, item), append(outcomes, d)
	}
	if len(items) == 0 {
		return
	}
	results, ok := w.put(ctx, outcomes, items)
	if ok {
		w.conclude(ctx, outcomes, items, results)
	}
}

// trace begins the span of storing an outcome.
func (w *Writer) trace(d *broker.Delivery, item *mailbox.Item) *tracing.Span {
	if w.cfg.Tracer == nil {
		return nil
	}
	span := w.cfg.Tracer.Start(tracing.Consumer, "store in mailbox", tracing.Context{Parent: item.Trace, State: d.String(telemetry.TraceState)})
	item.Trace = span.Context(tracing.Context{}).Parent
	span.Set("cupline.tenant", item.Tenant)
	span.Set("cupline.client", item.Client)
	span.Set("cupline.command_id", item.CommandID.String())
	return span
}

// parse reads what is to be stored.
func parse(m *message.Message) (mailbox.Item, error) {
	o, err := envelope.ParseOutcome(m)
	if err != nil {
		return mailbox.Item{}, err
	}
	response, err := jsonrpc.ParseResponse(o.Body)
	if err != nil {
		return mailbox.Item{}, err
	}
	return mailbox.Item{
		Tenant: o.Tenant, Client: o.Client, CommandID: o.CommandID, RawID: response.ID, Redrive: o.Redrive,
		Device: o.Device, Method: o.Method, Lane: o.Lane, Origin: o.Origin, Reason: string(o.Reason),
		Accepted: o.Accepted, At: o.At, Response: response.Body, Trace: o.Trace.Parent,
	}, nil
}

// put stores the batch. While the database is away it tries again; nothing is acked. ok is
// false when the batch was given up: the broker has taken it back, or the writer is to end.
func (w *Writer) put(ctx context.Context, batch []*broker.Delivery, items []mailbox.Item) (results []mailbox.PutResult, ok bool) {
	ok = w.persist(ctx, batch, "store outcomes", func(ctx context.Context) (err error) {
		results, err = w.cfg.Store.Put(ctx, items)
		return err
	})
	return results, ok
}

// conclude does what the results ask for, each outcome in its own way.
func (w *Writer) conclude(ctx context.Context, batch []*broker.Delivery, items []mailbox.Item, results []mailbox.PutResult) {
	announced := batch[:0]
	for i, d := range batch {
		switch results[i] {
		case mailbox.Stored:
			w.cfg.Fate(FateStored, 1)
			announced = append(announced, d)
		case mailbox.Already:
			// Whoever stored it may have died before it was announced.
			w.cfg.Fate(FateAlready, 1)
			announced = append(announced, d)
		case mailbox.Delivered:
			w.cfg.Fate(FateDelivered, 1)
			d.Ack()
		case mailbox.OverQuota:
			// The store has counted and audited it.
			w.cfg.Fate(FateMissed, 1)
			w.cfg.Log.Warn("mailbox full, outcome not kept", fields(&items[i])...)
			d.Ack()
		default:
			w.park(ctx, d, "the database refuses to keep this outcome")
		}
	}
	if len(announced) > 0 {
		failpoint.Pass(failpoint.AfterMailbox)
		w.announce(ctx, announced)
	}
}

// park records what cannot be stored, and acks it.
func (w *Writer) park(ctx context.Context, d *broker.Delivery, detail string) {
	w.cfg.Log.Warn("parked what cannot be kept in a mailbox", append(parkedFields(d), zap.String("detail", detail))...)
	ok := w.persist(ctx, []*broker.Delivery{d}, "park a message", func(ctx context.Context) error {
		return w.cfg.Lot.Park(ctx, &d.Message, detail)
	})
	if ok {
		w.cfg.Fate(FateParked, 1)
		d.Ack()
	}
}

// persist does something until it succeeds. It gives up, and returns false, once all of the
// deliveries are lost or ctx ends: then the broker gives the messages to somebody again.
func (w *Writer) persist(ctx context.Context, batch []*broker.Delivery, what string, do func(context.Context) error) bool {
	// They stand in the order of their channels: with the last one, all are lost.
	lost := batch[len(batch)-1].Lost()
	for wait := w.cfg.RetryMin; ; wait = min(2*wait, w.cfg.RetryMax) {
		attempt, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
		err := do(attempt)
		cancel()
		if err == nil {
			return true
		}
		w.cfg.Log.Warn("mailbox writer waits", zap.String("doing", what), zap.Error(err))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-lost:
			timer.Stop()
			return false
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

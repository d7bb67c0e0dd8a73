// Package feed leads what the broker delivers for this pusher's slot to the hub, and is
// the only code that acknowledges it: each delivery once its outcome was acked by a client
// and that was noted, or was refused and so goes to the mailbox.
package feed

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/pusher/internal/hub"
	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/pusher/internal/wheel"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/schema/topology"
)

// Hub is what deliveries are led to.
type Hub interface {
	Deliver(it *session.Item)
	Announced(key hub.Key)
	Released(key hub.Key, sessionID string)
}

// Observer counts; it never blocks.
type Observer interface {
	// Refused outcomes went to the mailbox.
	Refused(cause session.Cause)
	// InFlight changes with what is delivered and not settled.
	InFlight(change int)
}

// Malformed is the cause of refusing what is no outcome; the mailbox writer records it.
const Malformed session.Cause = "malformed"

// Config of a feed. All fields are required.
type Config struct {
	Queue string
	// Prefetch is the most deliveries not settled. Past half of it those go to the mailbox that
	// are older than CrowdedAfter; younger ones show that there is much to do, and nothing else.
	Prefetch     int
	CrowdedAfter time.Duration
	Hub          Hub
	Wheel        *wheel.Wheel
	// Ledger notes plain acks, Mailbox those of outcomes that may lie in the mailbox, too.
	Ledger, Mailbox *Receipts
	Observer        Observer
	// Tracer of pushes; nil is off.
	Tracer *tracing.Tracer
	Log    *zap.Logger
}

// Feed consumes one queue.
type Feed struct {
	cfg      Config
	consumer *broker.Consumer
	timer    wheel.Timer

	mu    sync.Mutex // guards the list of unsettled deliveries, oldest first
	root  delivery
	count int
}

// New makes a feed and registers its consumer on link, behind the steps of NewSlot.
func New(link *broker.Link, cfg Config) *Feed {
	f := &Feed{cfg: cfg}
	f.root.prev, f.root.next = &f.root, &f.root
	f.consumer = broker.NewConsumer(link, broker.ConsumerConfig{Queue: cfg.Queue, Prefetch: cfg.Prefetch, Handle: f.handle})
	return f
}

// Start begins to look after what is not settled in time.
func (f *Feed) Start(context.Context) error {
	f.cfg.Wheel.Set(&f.timer, f, time.Now())
	return nil
}

// Drain ends consuming once everything that was delivered is settled.
func (f *Feed) Drain(ctx context.Context) error { return f.consumer.Drain(ctx) }

func (f *Feed) handle(_ context.Context, d *broker.Delivery) {
	switch d.Type {
	case envelope.TypeAnnounce:
		if key, ok := clientOf(d); ok {
			f.cfg.Hub.Announced(key)
		}
		d.Ack()
	case envelope.TypeRelease:
		if key, ok := clientOf(d); ok {
			f.cfg.Hub.Released(key, envelope.ReleasedSession(&d.Message))
		}
		d.Ack()
	default:
		f.outcome(d)
	}
}

func clientOf(d *broker.Delivery) (hub.Key, bool) {
	tenant, client, ok := topology.ParseReplyKey(d.Key)
	return hub.Key{Tenant: tenant, Client: client}, ok
}

func (f *Feed) outcome(b *broker.Delivery) {
	d := &delivery{Delivery: b, feed: f}
	it := session.NewLive(d)
	came, err := fill(it, b)
	if err != nil {
		client, _ := clientOf(b)
		f.cfg.Log.Warn("not an outcome; it is led to the mailbox writer, which records it",
			zap.String("key", b.Key), zap.String("message_id", b.ID), zap.String("tenant", client.Tenant), zap.String("client", client.Client),
			zap.String("reason", string(Malformed)), zap.Error(err))
		f.cfg.Observer.Refused(Malformed)
		b.Reject()
		return
	}
	d.span = f.cfg.Tracer.Start(tracing.Consumer, "push outcome", came)
	it.Trace = d.span.Context(came).Parent
	f.add(d, it)
	f.cfg.Hub.Deliver(it)
}

// fill reads an outcome into an item, and returns the trace that it came with.
func fill(it *session.Item, b *broker.Delivery) (tracing.Context, error) {
	o, err := envelope.ParseOutcome(&b.Message)
	came := tracing.Context(o.Trace)
	if err != nil {
		return came, err
	}
	response, err := jsonrpc.ParseResponse(o.Body)
	if err != nil {
		return came, err
	}
	body, err := jsonrpc.OneLine(response.Body, len(response.Body))
	if err != nil {
		return came, err
	}
	it.ID, it.Tenant, it.Client, it.Lane, it.Accepted = o.CommandID, o.Tenant, o.Client, o.Lane, o.Accepted
	it.Reason, it.Failed = string(o.Reason), response.Failed
	it.Redelivered = b.Redelivered
	it.Outcome = push.Outcome{
		ID: response.ID, CommandID: b.ID, Redrive: o.Redrive, Device: o.Device, Method: o.Method,
		At: o.At, Origin: o.Origin, Response: body,
	}
	return came, nil
}

func (f *Feed) add(d *delivery, it *session.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d.item, d.since = it, time.Now()
	d.prev, d.next = f.root.prev, &f.root
	f.root.prev.next, f.root.prev = d, d
	f.count++
	f.cfg.Observer.InFlight(1)
}

func (f *Feed) remove(d *delivery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.next == nil {
		return
	}
	d.prev.next, d.next.prev = d.next, d.prev
	d.prev, d.next = nil, nil
	f.count--
	f.cfg.Observer.InFlight(-1)
}

// relieveEvery is how often the feed looks whether it is crowded.
const relieveEvery = 100 * time.Millisecond

// Fire sends the oldest outcomes to the mailbox while more than half of the prefetch waits
// for acks: those who ack must not wait behind those who do not. The wheel calls it.
func (f *Feed) Fire(now time.Time) time.Time {
	for {
		f.mu.Lock()
		d := f.root.next
		crowded := 2*f.count > f.cfg.Prefetch && now.Sub(d.since) >= f.cfg.CrowdedAfter
		f.mu.Unlock()
		if !crowded {
			return now.Add(relieveEvery)
		}
		d.item.Evict(session.Crowded)
		// Evict does nothing to what is being settled this moment.
		f.remove(d)
	}
}

// delivery is one outcome that waits for its verdict. It implements session.Live.
type delivery struct {
	*broker.Delivery
	feed       *Feed
	item       *session.Item
	span       *tracing.Span
	since      time.Time
	prev, next *delivery
}

// Settle acknowledges: at once what another copy covers; what was refused by a reject,
// which leads it to the mailbox; and what a client acked once that is noted.
func (d *delivery) Settle(it *session.Item, v session.Verdict) {
	d.feed.remove(d)
	d.told(it, v)
	switch v.Kind {
	case session.Acked:
		receipts := d.feed.cfg.Ledger
		if v.Doubtful {
			receipts = d.feed.cfg.Mailbox
		}
		receipts.add(receipt{Mark: markOf(it), delivery: d.Delivery})
	case session.Covered:
		d.Ack()
	default:
		if !d.Lost() {
			d.feed.cfg.Observer.Refused(v.Cause)
		}
		d.Reject()
	}
}

// told ends the span of a push with what became of it.
func (d *delivery) told(it *session.Item, v session.Verdict) {
	if d.span == nil {
		return
	}
	d.span.Set("cupline.tenant", it.Tenant)
	d.span.Set("cupline.client", it.Client)
	d.span.Set("cupline.command_id", it.Outcome.CommandID)
	switch v.Kind {
	case session.Acked:
		d.span.Event("acked by the client")
	case session.Refused:
		d.span.Set("cupline.led_to_mailbox", string(v.Cause))
	}
	d.span.End()
}

// Lost reports that the broker took it back.
func (d *delivery) Lost() bool {
	select {
	case <-d.Delivery.Lost():
		return true
	default:
		return false
	}
}

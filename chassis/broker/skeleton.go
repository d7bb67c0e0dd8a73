// Package broker is written in place; these are the signatures that it will have.
package broker

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// Config of a link.
type Config struct {
	// URL is amqp:// or amqps://; several, comma separated, are tried in turn.
	URL string
	// Name is the connection name seen in the broker's management, and the metrics label.
	Name string
	// Heartbeat defaults to 10 s, DialTimeout to 5 s, StepTimeout (each OnUp step) to 2 min.
	Heartbeat, DialTimeout, StepTimeout time.Duration
	TLS                                 *tls.Config
	Log                                 *zap.Logger
	Metrics                             *Metrics
}

// State of a link.
type State int

// States of a link.
const (
	Down State = iota
	Up
)

// Status of a link.
type Status struct {
	State         State
	Blocked       bool
	BlockedReason string
	Generation    uint64
	Since         time.Time
	LastError     error
	ServerVersion string
}

// Link is one supervised connection.
type Link struct{}

// NewLink makes a link; Start dials.
func NewLink(cfg Config) *Link { panic("soon") }

// OnUp registers a step run in registration order on every (re)connect, before the link
// counts as up; an error drops the connection. A step registered while the link is up is
// run at once as well.
func (l *Link) OnUp(name string, step func(ctx context.Context, s *Session) error) { panic("soon") }

// Start does not block on the broker; ctx's end does not stop the link.
func (l *Link) Start(ctx context.Context) error { panic("soon") }

// Stop ends the link.
func (l *Link) Stop(ctx context.Context) error { panic("soon") }

// Wait until up, every step done.
func (l *Link) Wait(ctx context.Context) error { panic("soon") }

// WaitReady waits until up and not blocked.
func (l *Link) WaitReady(ctx context.Context) error { panic("soon") }

// Status now.
func (l *Link) Status() Status { panic("soon") }

// Blocked now.
func (l *Link) Blocked() (reason string, blocked bool) { panic("soon") }

// Changed is closed at the next change of the status; ask again afterwards.
func (l *Link) Changed() <-chan struct{} { panic("soon") }

// Ready is nil when up and not blocked; otherwise a sentence for /readyz.
func (l *Link) Ready() error { panic("soon") }

// Do runs f with the live session; ErrUnavailable when down.
func (l *Link) Do(ctx context.Context, f func(ctx context.Context, s *Session) error) error {
	panic("soon")
}

// Session is one live connection.
type Session struct{}

// Generation counts connections, from 1.
func (s *Session) Generation() uint64 { panic("soon") }

// Lost is closed when the connection is gone.
func (s *Session) Lost() <-chan struct{} { panic("soon") }

// ServerVersion of the broker, such as 3.10.8.
func (s *Session) ServerVersion() string { panic("soon") }

// Drift is a thing that exists with other arguments than declared.
type Drift struct {
	What string // "exchange" or "queue"
	Name string
	Err  error
}

// Declare is idempotent; what exists with other arguments is reported, not changed.
func (s *Session) Declare(ctx context.Context, t topology.Topology) ([]Drift, error) { panic("soon") }

// Lock declares an exclusive queue; ErrLocked while another connection holds it.
func (s *Session) Lock(ctx context.Context, q topology.Queue) error { panic("soon") }

// Bind returns when all are in force.
func (s *Session) Bind(ctx context.Context, bindings ...topology.Binding) error { panic("soon") }

// Unbind returns when all are gone.
func (s *Session) Unbind(ctx context.Context, bindings ...topology.Binding) error { panic("soon") }

// Inspect a queue; ErrNotFound. messages are those ready for delivery.
func (s *Session) Inspect(ctx context.Context, queue string) (messages, consumers int, err error) {
	panic("soon")
}

// ExchangeExists asks passively.
func (s *Session) ExchangeExists(ctx context.Context, exchange string) (bool, error) { panic("soon") }

// DeleteQueue deletes; ErrNotEmpty when a condition does not hold.
func (s *Session) DeleteQueue(ctx context.Context, queue string, ifUnused, ifEmpty bool) error {
	panic("soon")
}

// DeleteExchange deletes.
func (s *Session) DeleteExchange(ctx context.Context, exchange string) error { panic("soon") }

// Drain consumes what waits in queue until it is empty, and hands each message to f; nil
// acks it, an error ends the drain and leaves the rest in the queue.
func (s *Session) Drain(ctx context.Context, queue string, f func(context.Context, *Delivery) error) error {
	panic("soon")
}

// PublisherConfig of a publisher.
type PublisherConfig struct {
	Name   string
	Window int // most unconfirmed, default 1024
	Queue  int // most waiting to be written, default Window
}

// Publisher publishes with confirms.
type Publisher struct{}

// NewPublisher registers its own OnUp step on link.
func NewPublisher(link *Link, cfg PublisherConfig) *Publisher { panic("soon") }

// Publish returns after the broker's confirm.
func (p *Publisher) Publish(ctx context.Context, m message.Message) error { panic("soon") }

// Submit is the async form of Publish. It may wait for room; done is called exactly once,
// never on the caller's stack, and must not block.
func (p *Publisher) Submit(ctx context.Context, m message.Message, done func(error)) { panic("soon") }

// AckRun says how acks are gathered.
type AckRun struct {
	Max   int           // default 64
	Delay time.Duration // default 50 ms
}

// ConsumerConfig of a consumer.
type ConsumerConfig struct {
	Queue     string
	Prefetch  int
	Exclusive bool
	Priority  int
	AckRun    AckRun
	// Handle is called in order on the consumer's goroutine and must not block long; ctx
	// ends when the delivery's generation is lost.
	Handle func(ctx context.Context, d *Delivery)
}

// Consumer of one queue.
type Consumer struct{}

// NewConsumer registers its own OnUp step on link.
func NewConsumer(link *Link, cfg ConsumerConfig) *Consumer { panic("soon") }

// Pause stops new deliveries; unacked ones stay ours.
func (c *Consumer) Pause(ctx context.Context) error { panic("soon") }

// Resume consumes again.
func (c *Consumer) Resume(ctx context.Context) error { panic("soon") }

// Drain stops new deliveries for good, and waits until each one handed out is settled.
func (c *Consumer) Drain(ctx context.Context) error { panic("soon") }

// Unsettled is the number of deliveries handed out and not settled.
func (c *Consumer) Unsettled() int { panic("soon") }

// Delivery is one message taken from a queue.
type Delivery struct {
	message.Message
	Redelivered   bool
	DeliveryCount int64 // x-delivery-count of quorum queues; 0 at the first delivery
	Generation    uint64
}

// Ack settles: done.
func (d *Delivery) Ack() {}

// Reject settles without requeue: the message is dead-lettered.
func (d *Delivery) Reject() {}

// Requeue hands back; it counts as a delivery, so it is never a way to retry.
func (d *Delivery) Requeue() {}

// Lost is closed when the channel of this delivery is gone: whatever is done, the broker
// has given the message to somebody else.
func (d *Delivery) Lost() <-chan struct{} { return nil }

// Metrics of links, publishers and consumers.
type Metrics struct{}

// NewMetrics registers the collectors.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) { panic("soon") }

package broker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/schema/message"
)

const (
	defaultWindow = 1024
	// probeEvery is how often an idle publisher asks, by publishing, whether the broker
	// still takes messages: it says that it does not only to those who publish.
	probeEvery = 10 * time.Second
	// probeKey has no queue on the exchange for probes; what is published there is dropped.
	probeKey = "broker.probe"
	// reopenTries is how often a channel is opened again before the link is dropped.
	reopenTries = 3
)

// PublisherConfig of a publisher.
type PublisherConfig struct {
	// Name of the publisher's OnUp step, for errors and logs.
	Name string
	// Window is the most messages sent and not yet confirmed; past it callers wait. Default
	// 1024: waiting for each confirm costs eight times the throughput.
	Window int
	// Queue is the most messages with a place in the window that wait to be written; past
	// it callers wait. Default: Window.
	Queue int
}

// Publisher publishes with confirms on a channel of its own. All its methods may be called
// from any goroutine. It needs no closing: it ends with its link.
type Publisher struct {
	link *Link
	cfg  PublisherConfig
	live atomic.Pointer[publishing] // the open channel; nil when there is none
}

// NewPublisher makes a publisher and registers its OnUp step on link. It can publish as
// soon as that step is done, so steps that publish are registered after it. The step also
// finds out whether the broker is blocked.
func NewPublisher(link *Link, cfg PublisherConfig) *Publisher {
	if cfg.Window <= 0 {
		cfg.Window = defaultWindow
	}
	if cfg.Queue <= 0 {
		cfg.Queue = cfg.Window
	}
	if cfg.Name == "" {
		cfg.Name = "publisher"
	}
	p := &Publisher{link: link, cfg: cfg}
	link.OnUp(cfg.Name, p.open)
	return p
}

// Publish sends a message and returns after the broker's confirm: nil means that it is
// safe on every queue it was routed to (with Mandatory: on one at least). Otherwise one of
// ErrUnavailable, ErrBlocked, ErrUnroutable, ErrRefused, ErrInvalid, ErrClosed, which mean
// that no queue has it, or ErrInDoubt. It never waits longer than ctx, and while the link
// is down or blocked it does not wait at all. Publishing to an exchange that does not exist
// closes the channel, and puts everything unconfirmed on it in doubt.
//
// m.Headers and m.Body must not be changed until the confirm, which after ErrInDoubt may
// be never.
func (p *Publisher) Publish(ctx context.Context, m message.Message) error {
	began := time.Now()
	sub, err := p.submit(ctx, &m)
	if err == nil {
		err = sub.await(ctx)
	}
	p.link.cfg.Metrics.published(p.link.cfg.Name, began, err)
	return err
}

// Submit is Publish that does not wait for the confirm: done is called exactly once with
// what Publish would have returned, in a goroutine of its own, and must not block for long.
// Submit itself waits, bounded by ctx, while the window is full. What one goroutine submits
// is sent in that order.
func (p *Publisher) Submit(ctx context.Context, m message.Message, done func(error)) {
	began := time.Now()
	sub, err := p.submit(ctx, &m)
	p.link.background(func() {
		if err == nil {
			err = sub.await(ctx)
		}
		p.link.cfg.Metrics.published(p.link.cfg.Name, began, err)
		done(err)
	})
}

// submit checks a message, takes a place in the window, and queues it for the channel's
// goroutine. After an error nothing is queued.
func (p *Publisher) submit(ctx context.Context, m *message.Message) (*submission, error) {
	content, err := encode(m)
	if err != nil {
		return nil, err
	}
	g := p.live.Load()
	if g == nil {
		return nil, p.unavailable()
	}
	raised := g.session.alarm.raised()
	select {
	case <-raised:
		return nil, g.blocked()
	default:
	}
	failpoint.Pass(failpoint.BeforePublish)
	select {
	case g.window <- struct{}{}:
	case <-raised:
		return nil, g.blocked()
	case <-g.gone:
		return nil, p.unavailable()
	case <-ctx.Done():
		return nil, unsent(ctx, "wait for room in the window")
	}
	sub := &submission{
		channel: g, content: content, exchange: m.Exchange, key: m.Key, mandatory: m.Mandatory,
		written: make(chan struct{}, 1),
	}
	select {
	case g.queue <- sub:
		return sub, nil
	case <-raised:
		err = g.blocked()
	case <-g.gone:
		err = p.unavailable()
	case <-ctx.Done():
		err = unsent(ctx, "wait for room in the queue")
	}
	g.leaveWindow()
	return nil, err
}

func (p *Publisher) unavailable() error {
	err := p.link.Ready()
	if errors.Is(err, ErrClosed) {
		return err
	}
	if err == nil {
		err = errors.New("the publisher's channel is being opened")
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// open is the OnUp step.
func (p *Publisher) open(ctx context.Context, s *Session) error {
	g, err := p.openChannel(ctx, s)
	if err != nil {
		return err
	}
	p.live.Store(g) // before the next step, which may publish
	s.crew.Go(func() { p.keep(s, g) })
	return nil
}

// keep runs channel after channel until the session ends.
func (p *Publisher) keep(s *Session, g *publishing) {
	var wait backoff
	for {
		began := time.Now()
		why := g.run(s.life)
		p.live.Store(nil)
		if s.life.Err() != nil {
			return
		}
		p.link.cfg.Log.Warn("publisher's channel was closed", zap.String("publisher", p.cfg.Name), zap.Error(why))
		if time.Since(began) > steady {
			wait.reset()
		}
		var err error
		g, err = reopen(s, &wait, why, p.openChannel)
		if err != nil {
			s.end(fmt.Errorf("publisher %s: %w", p.cfg.Name, err))
			return
		}
		p.live.Store(g)
	}
}

// reopen opens a channel again after the broker closed it because of why. An error means
// that the link should be dropped: what does not exist (404) can only be declared by the
// link's steps.
func reopen[T any](s *Session, wait *backoff, why error, open func(context.Context, *Session) (T, error)) (T, error) {
	var opened T
	err := why
	for range reopenTries {
		if code(err) == amqp.NotFound || errors.Is(err, ErrNotFound) {
			break
		}
		if !sleep(s.life, wait.next()) {
			return opened, context.Cause(s.life)
		}
		ctx, cancel := context.WithTimeout(s.life, s.link.cfg.StepTimeout)
		opened, err = open(ctx, s)
		late := ctx.Err() != nil
		cancel()
		if err == nil {
			return opened, nil
		}
		if late {
			break // that channel may still come, and nobody would look after it
		}
	}
	return opened, fmt.Errorf("channel lost: %w", err)
}

// openChannel opens a channel in confirm mode, and probes it: when it returns nil, messages
// are either being taken, or the session's alarm is known to be on.
func (p *Publisher) openChannel(ctx context.Context, s *Session) (*publishing, error) {
	ch, err := s.openChannel(ctx, "open the channel of "+p.cfg.Name)
	if err != nil {
		return nil, err
	}
	g := &publishing{
		session: s, ch: ch,
		closes:    ch.NotifyClose(make(chan *amqp.Error, 1)),
		returns:   ch.NotifyReturn(make(chan amqp.Return, p.cfg.Window)),
		window:    make(chan struct{}, p.cfg.Window),
		queue:     make(chan *submission, p.cfg.Queue),
		gone:      make(chan struct{}),
		mandatory: make(map[identity]*submission),
	}
	if err := s.call(ctx, "select confirms", func() error { return ch.Confirm(false) }); err != nil {
		return nil, err
	}
	return g, g.probeTwice(ctx)
}

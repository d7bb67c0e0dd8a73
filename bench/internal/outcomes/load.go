// Package outcomes publishes outcomes as dispatchers do, for a crowd of clients: the way back alone.
package outcomes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/bench/internal/crowd"
	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/schema/envelope"
)

const (
	connectLimit = 30 * time.Second
	// heartbeat is longer than the platform's own: a stall of the machine that breaks this connection breaks the run, and not what
	// is measured.
	heartbeat = time.Minute
	// publishers is how many wait for a confirm at once.
	publishers = 256
)

// Config of a load.
type Config struct {
	// Broker's address.
	Broker string
	// Group are the clients; Client gives the name of each of so many.
	Group   *crowd.Group
	Tenant  string
	Client  func(int) string
	Clients int
	// First is the id of the first outcome. Each bench's own: a crowd drops none, but says what came twice.
	First int64
	// InFlight is the most outcomes that no client has yet.
	InFlight int
	// Rate per second; 0 is as fast as clients take them. At a rate some may pass their window, and then get what follows from
	// their mailboxes, at least once: what comes again is no fault there.
	Rate float64
	// Limit is the most outcomes.
	Limit int64
}

// Load is one run. It is a measure.Load.
type Load struct {
	cfg       Config
	link      *broker.Link
	publisher *broker.Publisher
	work      sync.WaitGroup
	over      chan struct{}
	stop      context.CancelFunc

	published atomic.Int64
	before    crowd.News
	latencies map[int]int64

	mu     sync.Mutex // guards the rest
	broken error
}

// New makes a run that has not begun.
func New(cfg Config) *Load { return &Load{cfg: cfg, over: make(chan struct{})} }

// Start connects and begins to publish.
func (l *Load) Start(ctx context.Context) error {
	l.before = l.cfg.Group.News()
	l.link = broker.NewLink(broker.Config{URL: l.cfg.Broker, Name: "bench-outcomes", Heartbeat: heartbeat})
	l.publisher = broker.NewPublisher(l.link, broker.PublisherConfig{Name: "publish outcomes"})
	if err := l.link.Start(ctx); err != nil {
		return fmt.Errorf("connect to the broker: %w", err)
	}
	connecting, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	if err := l.link.WaitReady(connecting); err != nil {
		return errors.Join(fmt.Errorf("connect to the broker: %w", err), l.link.Stop(context.WithoutCancel(ctx)))
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	due := make(chan int64)
	l.work.Go(func() {
		defer close(l.over)
		defer close(due)
		l.pace(life, due)
	})
	for range publishers {
		l.work.Go(func() {
			for n := range due {
				l.publish(context.WithoutCancel(life), n)
			}
		})
	}
	return nil
}

// pace hands out numbers, as fast as the rate or the clients let it.
func (l *Load) pace(ctx context.Context, due chan<- int64) {
	began := time.Now()
	for n := range l.cfg.Limit {
		if l.cfg.Rate > 0 {
			pause(ctx, time.Until(began.Add(time.Duration(float64(n)/l.cfg.Rate*float64(time.Second)))))
		} else if _, err := l.cfg.Group.Wait(ctx, func(news crowd.News) bool { return n-(news.Got-l.before.Got) < int64(l.cfg.InFlight) }); err != nil {
			l.fail(ctx, err)
			return
		}
		select {
		case due <- n:
		case <-ctx.Done():
			return
		}
	}
}

func pause(ctx context.Context, while time.Duration) {
	if while <= 0 {
		return
	}
	timer := time.NewTimer(while)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (l *Load) publish(ctx context.Context, n int64) {
	now := time.Now()
	id := l.cfg.First + n
	o := envelope.Outcome{
		Tenant: l.cfg.Tenant, Client: l.cfg.Client(int(n % int64(l.cfg.Clients))), CommandID: uuid.Must(uuid.NewV7()),
		Device: "ledger-0000", Method: "relay.set", Lane: "default", Origin: envelope.OriginDevice,
		Accepted: now, At: now, Body: crowd.Response(id, now.UnixNano()),
	}
	if err := l.publisher.Publish(ctx, o.Message()); err != nil {
		l.fail(ctx, fmt.Errorf("publish an outcome: %w", err))
		return
	}
	l.published.Add(1)
}

func (l *Load) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = err
	}
}

// Done is how many outcomes clients have.
func (l *Load) Done() int64 { return l.cfg.Group.News().Got - l.before.Got }

// Over is closed when the limit is reached.
func (l *Load) Over() <-chan struct{} { return l.over }

// Stop publishes no more and waits until each outcome has come. The error says what is missing, came twice, or broke.
func (l *Load) Stop(ctx context.Context) error {
	// What came until now: what is drained afterwards would show the end, and not the load.
	report, err := l.cfg.Group.Report(ctx)
	l.latencies = report.Latencies
	l.stop()
	l.work.Wait()
	published := l.published.Load()
	got, missing := l.cfg.Group.Wait(ctx, func(n crowd.News) bool { return n.Got-l.before.Got >= published })
	if missing != nil {
		err = errors.Join(err, fmt.Errorf("%d of %d outcomes came: %w", got.Got-l.before.Got, published, missing))
	}
	if twice := got.Doubled - l.before.Doubled; twice > 0 && l.cfg.Rate == 0 {
		err = errors.Join(err, fmt.Errorf("%d outcomes came twice", twice))
	}
	if got.Wrong > l.before.Wrong || got.Lost > l.before.Lost {
		err = errors.Join(err, fmt.Errorf("%d outcomes could not be read, %d connections were lost: %s", got.Wrong, got.Lost, got.Failure))
	}
	l.mu.Lock()
	err = errors.Join(err, l.broken)
	l.mu.Unlock()
	return errors.Join(err, l.link.Stop(context.WithoutCancel(ctx)))
}

// Latencies from an outcome's publishing to its frame, those of the warm-up included, by step of the crowd's; once stopped.
func (l *Load) Latencies() map[int]int64 { return l.latencies }

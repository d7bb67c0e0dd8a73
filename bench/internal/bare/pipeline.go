package bare

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Config of a pipeline.
type Config struct {
	URL string
	// Window is how many publishes of the source may be unconfirmed.
	Window int
	// Prefetch of the relay and of the sink.
	Prefetch int
	// AckRun is how many deliveries one ack settles; 1 acks each.
	AckRun int
	// Size of a message in bytes, 16 or more.
	Size int
	// Clients is the number of routing keys in use; Declare must have bound them.
	Clients int
	// Limit is the most messages of one run.
	Limit int
	// Rate is how many messages fall due a second, at fixed intervals, whatever comes back; their latency counts from then.
	// 0 is as fast as they are taken.
	Rate float64
}

// Plain is how the pipeline is usually written, Tuned how it goes fastest.
func Plain(url string) Config {
	return Config{URL: url, Window: 512, Prefetch: 256, AckRun: 1, Size: 256, Clients: 1000}
}

// Tuned is Plain with wider windows and acks in runs.
func Tuned(url string) Config {
	c := Plain(url)
	c.Window, c.Prefetch, c.AckRun = 1024, 1024, 64
	return c
}

// Pipeline is one run. It is a measure.Load.
type Pipeline struct {
	cfg    Config
	source *source
	relay  *relay
	sink   *sink

	conns  []*amqp.Connection
	stages sync.WaitGroup
	cancel context.CancelCauseFunc
	failed <-chan struct{} // closed with the first failure, which cause tells
	cause  func() error
	over   chan struct{} // the source has no more to offer
}

// New makes a pipeline that has not begun.
func New(cfg Config) *Pipeline { return &Pipeline{cfg: cfg, over: make(chan struct{})} }

// Start connects the three stages and lets messages flow.
func (p *Pipeline) Start(ctx context.Context) error {
	failing, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	p.failed, p.cancel, p.cause = failing.Done(), cancel, func() error { return context.Cause(failing) }
	if err := p.connect(ctx); err != nil {
		p.cancel(err)
		return errors.Join(err, p.disconnect())
	}
	epoch := time.Now()
	p.source.epoch, p.sink.epoch = epoch, epoch
	p.run(p.sink.consume)
	p.run(p.relay.forward)
	p.run(p.relay.settle)
	p.run(p.source.confirm)
	p.stages.Go(func() {
		defer close(p.over) // with the failure told before: who finds it over finds out why
		if err := p.source.publish(failing); err != nil {
			p.cancel(err)
		}
	})
	return nil
}

func (p *Pipeline) run(stage func() error) {
	p.stages.Go(func() {
		if err := stage(); err != nil {
			p.cancel(err)
		}
	})
}

// Done is how many messages the sink has acked.
func (p *Pipeline) Done() int64 { return p.sink.done.Load() }

// Over is closed when the limit is reached or a stage has failed.
func (p *Pipeline) Over() <-chan struct{} { return p.over }

// Stop waits until the sink has all that was published. The error says what is missing or came twice.
func (p *Pipeline) Stop(ctx context.Context) error {
	p.source.stop()
	<-p.over
	err := p.drain(ctx)
	if err == nil {
		err = p.release(ctx)
	}
	p.cancel(nil)
	err = errors.Join(err, p.disconnect())
	p.stages.Wait()
	return errors.Join(err, p.sink.twice())
}

func (p *Pipeline) drain(ctx context.Context) error {
	published := p.source.published.Load()
	select {
	case <-p.sink.reached(published):
	case <-p.failed:
	case <-ctx.Done():
		return fmt.Errorf("the bare pipeline lost messages: %d of %d published arrived", p.sink.done.Load(), published)
	}
	select {
	case <-p.failed: // also when everything had arrived by then
		return fmt.Errorf("the bare pipeline broke: %w", p.cause())
	default:
		return nil
	}
}

// release ends both consumers, so that what is finished but not acked yet is acked: the next run finds empty queues.
func (p *Pipeline) release(ctx context.Context) error {
	for _, ch := range []*amqp.Channel{p.relay.in, p.sink.acks.ch} {
		if err := ch.Cancel(consumerTag, false); err != nil {
			return fmt.Errorf("end a consumer of the bare pipeline: %w", err)
		}
	}
	for _, settled := range []<-chan struct{}{p.relay.settled, p.sink.settled} {
		select {
		case <-settled:
		case <-ctx.Done():
			return fmt.Errorf("the bare pipeline was left with messages that are not acked")
		}
	}
	return nil
}

// Latencies are the times from publish to arrival of messages that were published within the window.
func (p *Pipeline) Latencies(from, to time.Time) []time.Duration { return p.sink.latencies(from, to) }

func (p *Pipeline) connect(ctx context.Context) error {
	sending, err := p.channel(ctx, "bench source")
	if err != nil {
		return err
	}
	taking, err := p.channel(ctx, "bench relay, in")
	if err != nil {
		return err
	}
	passing, err := p.channel(ctx, "bench relay, out")
	if err != nil {
		return err
	}
	receiving, err := p.channel(ctx, "bench sink")
	if err != nil {
		return err
	}
	// All stages may be full, but no backlog lies between them: a source that runs ahead of the relay spends in the window
	// what is only counted later, and slows what is counted.
	transit := make(chan struct{}, p.cfg.Window+2*p.cfg.Prefetch)
	if p.source, err = newSource(p.cfg, sending, transit); err != nil {
		return err
	}
	if p.relay, err = newRelay(p.cfg, taking, passing); err != nil {
		return err
	}
	p.sink, err = newSink(p.cfg, receiving, transit)
	return err
}

// channel opens a connection with one channel: the stages are programs of their own in the platform.
func (p *Pipeline) channel(ctx context.Context, name string) (*amqp.Channel, error) {
	conn, err := dial(ctx, p.cfg.URL, name)
	if err != nil {
		return nil, err
	}
	p.conns = append(p.conns, conn)
	ch, err := conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open a channel of %q: %w", name, err)
	}
	return ch, nil
}

func (p *Pipeline) disconnect() error {
	var failed error
	for _, conn := range p.conns {
		if err := conn.Close(); err != nil && !errors.Is(err, amqp.ErrClosed) {
			failed = errors.Join(failed, fmt.Errorf("disconnect the bare pipeline: %w", err))
		}
	}
	return failed
}

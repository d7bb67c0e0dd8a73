package bare

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	errRefused = errors.New("the broker refused a message")
	// errClosed does no harm at a run's end, when the run has its verdict.
	errClosed = errors.New("a connection to the broker was closed")
)

// source publishes until it is stopped.
type source struct {
	cfg       Config
	ch        *amqp.Channel
	confirms  chan amqp.Confirmation
	window    chan struct{} // a place for each unconfirmed message
	transit   chan struct{} // a place for each one that has not reached the sink
	epoch     time.Time
	published atomic.Int64

	stopped  chan struct{}
	stopOnce sync.Once
}

func newSource(cfg Config, ch *amqp.Channel, transit chan struct{}) (*source, error) {
	if err := ch.Confirm(false); err != nil {
		return nil, fmt.Errorf("ask for confirms: %w", err)
	}
	return &source{
		cfg: cfg, ch: ch, confirms: ch.NotifyPublish(make(chan amqp.Confirmation, cfg.Window)),
		window: make(chan struct{}, cfg.Window), transit: transit, stopped: make(chan struct{}),
	}, nil
}

func (s *source) stop() { s.stopOnce.Do(func() { close(s.stopped) }) }

func (s *source) publish(ctx context.Context) error {
	began := time.Now()
	for n := range s.cfg.Limit {
		due, goOn := s.wait(ctx, began, n)
		if !goOn {
			return nil
		}
		for _, place := range []chan struct{}{s.transit, s.window} {
			select {
			case place <- struct{}{}:
			case <-s.stopped:
				return nil
			case <-ctx.Done():
				return nil // another stage has failed, and said so
			}
		}
		if due.IsZero() {
			due = time.Now()
		}
		body := make([]byte, s.cfg.Size)
		binary.BigEndian.PutUint64(body, uint64(n))
		binary.BigEndian.PutUint64(body[8:], uint64(due.Sub(s.epoch)))
		if err := s.ch.PublishWithContext(ctx, "", firstQueue, false, false, persistent(body)); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		s.published.Add(1)
	}
	return nil
}

// wait returns at the time when the nth message is due, and false at the end of the run. Without a rate it does not wait, and there is
// no such time.
func (s *source) wait(ctx context.Context, began time.Time, n int) (due time.Time, goOn bool) {
	if s.cfg.Rate == 0 {
		return due, true
	}
	due = began.Add(time.Duration(float64(n) / s.cfg.Rate * float64(time.Second)))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return due, true
	case <-s.stopped:
	case <-ctx.Done(): // another stage has failed, and said so
	}
	return due, false
}

// confirm gives places back; it ends with the channel.
func (s *source) confirm() error {
	for c := range s.confirms {
		if !c.Ack {
			return errRefused
		}
		<-s.window
	}
	return errClosed
}

func persistent(body []byte) amqp.Publishing {
	return amqp.Publishing{DeliveryMode: amqp.Persistent, ContentType: "application/octet-stream", Body: body}
}

package feed

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// Publisher publishes a message and waits for the broker's confirm.
type Publisher interface {
	Publish(ctx context.Context, m message.Message) error
}

// Sender publishes outcomes and letters until the broker has them: until then nothing is
// acknowledged. It is safe for concurrent use.
type Sender struct {
	link      *broker.Link
	publisher Publisher
	ways      topology.Topology
	log       *zap.Logger
	metrics   *Metrics

	mu         sync.Mutex // guards complained
	complained time.Time
}

// NewSender makes a sender. publisher works on link; ways are where it publishes to, and
// are declared again when the broker says that a message cannot be routed.
func NewSender(link *broker.Link, publisher Publisher, ways topology.Topology, log *zap.Logger, metrics *Metrics) *Sender {
	return &Sender{link: link, publisher: publisher, ways: ways, log: log, metrics: metrics}
}

const (
	firstPause    = 20 * time.Millisecond
	longestPause  = 2 * time.Second
	complainEvery = time.Minute
)

// send returns nil once the message is confirmed. Its other errors are the end of ctx and
// broker.ErrInvalid, for a message that can never be sent. A message whose confirm was
// lost is sent again: whoever gets both copies knows them by the command id.
func (s *Sender) send(ctx context.Context, m message.Message) error {
	return s.until(ctx, m, false)
}

// offer is send that gives up, with broker.ErrRefused, when the queue is full.
func (s *Sender) offer(ctx context.Context, m message.Message) error {
	return s.until(ctx, m, true)
}

func (s *Sender) until(ctx context.Context, m message.Message, once bool) error {
	pause := firstPause
	for {
		err := s.publisher.Publish(ctx, m)
		if err == nil || errors.Is(err, broker.ErrInvalid) || once && errors.Is(err, broker.ErrRefused) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.metrics.unsent.Inc()
		s.complain(m.Exchange, err)
		if errors.Is(err, broker.ErrUnroutable) {
			s.declare(ctx)
		}
		if err := s.link.WaitReady(ctx); err != nil {
			return err
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return context.Cause(ctx)
		}
		pause = min(2*pause, longestPause)
	}
}

// declare puts back what somebody has taken away. What it cannot do is seen at the next publish.
func (s *Sender) declare(ctx context.Context) {
	_ = s.link.Do(ctx, func(ctx context.Context, session *broker.Session) error {
		_, err := session.Declare(ctx, s.ways)
		return err
	})
}

func (s *Sender) complain(exchange string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.complained) < complainEvery {
		return
	}
	s.complained = time.Now()
	s.log.Warn("waiting for the broker to take messages", zap.String("exchange", exchange), zap.Error(err))
}

// sleep returns false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

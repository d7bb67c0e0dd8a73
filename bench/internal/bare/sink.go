package bare

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// sink takes what came through and keeps account of it.
type sink struct {
	deliveries <-chan amqp.Delivery
	acks       acks
	limit      int
	transit    <-chan struct{} // a place for each message on its way here
	settled    chan struct{}   // all that came is acked
	epoch      time.Time
	done       atomic.Int64

	mu       sync.Mutex // guards the rest
	arrivals []arrival  // by a message's number
	repeated int64
	unknown  int64
	target   int64
	hit      chan struct{}
}

// arrival is when a message was published and when it came, since the epoch; never both zero.
type arrival struct{ sent, came time.Duration }

func newSink(cfg Config, ch *amqp.Channel, transit <-chan struct{}) (*sink, error) {
	deliveries, err := consume(ch, secondQueue, cfg.Prefetch)
	return &sink{
		deliveries: deliveries, acks: acks{ch: ch, run: cfg.AckRun}, limit: cfg.Limit,
		transit: transit, settled: make(chan struct{}), target: -1, hit: make(chan struct{}),
	}, err
}

// consume ends with its consumer, or the channel.
func (s *sink) consume() error {
	defer close(s.settled)
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	for {
		var err error
		select {
		case d, open := <-s.deliveries:
			if !open && s.acks.ch.IsClosed() {
				return errClosed
			}
			if !open {
				return s.acks.flush()
			}
			s.note(d.Body)
			err = s.acks.add(d.DeliveryTag)
		case <-flush.C:
			err = s.acks.flush()
		}
		if err != nil {
			return fmt.Errorf("ack: %w", err)
		}
	}
}

func (s *sink) note(body []byte) {
	n := int(binary.BigEndian.Uint64(body))
	sent := time.Duration(binary.BigEndian.Uint64(body[8:]))
	s.mu.Lock()
	defer s.mu.Unlock()
	if n >= s.limit {
		s.unknown++
		return
	}
	if missing := n + 1 - len(s.arrivals); missing > 0 {
		s.arrivals = append(s.arrivals, make([]arrival, missing)...)
	}
	if s.arrivals[n].came != 0 {
		s.repeated++
		return
	}
	select {
	case <-s.transit:
	default: // an earlier run left it behind, and it has no place here: it is not to wait for one that may never come
	}
	s.arrivals[n] = arrival{sent: sent, came: time.Since(s.epoch)}
	if s.done.Add(1) == s.target {
		close(s.hit)
	}
}

// reached is closed once that many messages have come. It is asked once.
func (s *sink) reached(count int64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target = count
	if s.done.Load() == count {
		close(s.hit)
	}
	return s.hit
}

// twice says whether messages came that should not have come (again).
func (s *sink) twice() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repeated > 0 || s.unknown > 0 {
		return fmt.Errorf("the bare pipeline: %d messages came twice, %d came that were never sent", s.repeated, s.unknown)
	}
	return nil
}

func (s *sink) latencies(from, to time.Time) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, last := from.Sub(s.epoch), to.Sub(s.epoch)
	var all []time.Duration
	for _, a := range s.arrivals {
		if a.came != 0 && first <= a.sent && a.sent < last {
			all = append(all, a.came-a.sent)
		}
	}
	return all
}

package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// farewell bounds the polite part of closing a connection: flushing acks and the closing
// handshake. Past it the socket is closed.
const farewell = 2 * time.Second

// Session is one live connection: one generation of its link. Its calls may be made from
// any goroutine; those on the declaring channel run one after the other. Each is bounded by
// its context. When the context ends first the call is not undone: it goes on in the
// background, and whether it took effect is not known.
type Session struct {
	link       *Link
	conn       *amqp.Connection
	socket     net.Conn
	generation uint64
	version    string

	// life ends when the session does, with the reason as its cause.
	life context.Context //nolint:containedctx // it is exactly the lifetime of this value
	end  context.CancelCauseFunc

	crew    crew
	control chan control // the turn on the declaring channel, and that channel
	alarm   alarm

	mu       sync.Mutex // guards farewell
	farewell []func()
}

func newSession(ctx context.Context, l *Link, conn *amqp.Connection, socket net.Conn, generation uint64) *Session {
	s := &Session{link: l, conn: conn, socket: socket, generation: generation, control: make(chan control, 1)}
	s.version, _ = conn.Properties["version"].(string)
	s.life, s.end = context.WithCancelCause(ctx)
	s.alarm.lower()
	s.control <- control{}
	// Both are made here, so that nothing is missed before the watcher runs.
	closes := conn.NotifyClose(make(chan *amqp.Error, 1))
	blocks := conn.NotifyBlocked(make(chan amqp.Blocking, 8))
	s.crew.Go(func() { s.watch(closes, blocks) })
	return s
}

// Generation of this connection, from 1 for the link's first.
func (s *Session) Generation() uint64 { return s.generation }

// Lost is closed when the connection is gone, or is being given up.
func (s *Session) Lost() <-chan struct{} { return s.life.Done() }

// ServerVersion of the broker at the other end, such as "3.10.8"; empty if it does not say.
func (s *Session) ServerVersion() string { return s.version }

// alive is false as soon as anything of the loss can be noticed, which may be before the
// session has ended.
func (s *Session) alive() bool { return s.life.Err() == nil && !s.conn.IsClosed() }

// watch turns the library's notifications into the session's end and its alarm.
func (s *Session) watch(closes <-chan *amqp.Error, blocks <-chan amqp.Blocking) {
	for {
		select {
		case b, ok := <-blocks:
			if !ok {
				blocks = nil
				continue
			}
			s.blocked(b)
		case err, ok := <-closes:
			if ok {
				s.end(fmt.Errorf("connection lost: %w", err))
			}
			s.end(errors.New("connection closed"))
			return
		}
	}
}

func (s *Session) blocked(b amqp.Blocking) {
	if b.Active {
		s.alarm.raise(b.Reason)
	} else {
		s.alarm.lower()
	}
	l := s.link
	l.update(func() {
		if l.session != s {
			return
		}
		if b.Active != l.status.Blocked {
			l.cfg.Metrics.blocked(l.cfg.Name, b.Active)
		}
		l.status.Blocked, l.status.BlockedReason = b.Active, b.Reason
	})
}

// onFarewell registers what is to be written before the connection is closed on purpose.
func (s *Session) onFarewell(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.farewell = append(s.farewell, f)
}

// close ends the connection and returns when every goroutine of the session is gone. It is
// polite only when the connection still lives.
func (s *Session) close() {
	s.end(errStopped)
	if s.conn.IsClosed() {
		// The library may be stuck in its own shutdown behind a write; this frees it.
		_ = s.socket.Close()
	} else {
		limit := time.AfterFunc(farewell, func() { _ = s.socket.Close() })
		s.mu.Lock()
		flushes := s.farewell
		s.mu.Unlock()
		for _, flush := range flushes {
			flush()
		}
		_ = s.conn.CloseDeadline(time.Now().Add(farewell)) // the session is over either way
		limit.Stop()
		_ = s.socket.Close()
	}
	s.crew.Wait()
	if s.alarm.active() {
		s.link.cfg.Metrics.blocked(s.link.cfg.Name, false)
	}
}

// call runs f, one or several of the library's blocking calls, in a goroutine of the
// session, and waits for it or for ctx. The library cannot be interrupted, and an answer
// that nobody waits for would be taken for the answer to the next call; so f always runs
// to its end, which comes at the latest when the connection is closed.
func (s *Session) call(ctx context.Context, what string, f func() error) error {
	return s.callHolding(ctx, what, func() {}, f)
}

// callHolding is call for a caller that holds a turn: release is run once f has ended,
// whoever still waits for it, and also when f is not run because the session is over.
func (s *Session) callHolding(ctx context.Context, what string, release func(), f func() error) error {
	answer := make(chan error, 1)
	started := s.crew.Go(func() {
		defer release()
		answer <- f()
	})
	if !started {
		release()
		return fmt.Errorf("%s: %w", what, ErrUnavailable)
	}
	var err error
	select {
	case err = <-answer:
	case <-ctx.Done():
		select {
		case err = <-answer: // it came at the last moment: what it says is known
		default:
			return fmt.Errorf("%s: no answer in time: %w", what, ctx.Err())
		}
	}
	if err != nil && meaning(err) == nil && s.conn.IsClosed() {
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	}
	return explain(what, err)
}

// onControl runs f on the declaring channel, alone, opening it first if need be: a channel
// is closed by the broker whenever a call on it fails.
func (s *Session) onControl(ctx context.Context, what string, f func(ch *amqp.Channel) error) error {
	var c control
	select {
	case c = <-s.control:
	case <-s.life.Done():
		return fmt.Errorf("%s: %w", what, ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("%s: waiting for earlier calls: %w", what, ctx.Err())
	}
	return s.callHolding(ctx, what, func() { s.control <- c }, func() (err error) {
		if c.ch == nil || c.ch.IsClosed() {
			if c.ch, err = s.conn.Channel(); err != nil {
				return err
			}
			c.closes = c.ch.NotifyClose(make(chan *amqp.Error, 1))
		}
		return c.reason(f(c.ch))
	})
}

// control is the declaring channel; ch is nil until it is first used.
type control struct {
	ch     *amqp.Channel
	closes <-chan *amqp.Error
}

// reason finds why the channel was closed, when err says no more than that it is: a call
// that is not waited for fails when the next one is made.
func (c *control) reason(err error) error {
	if !errors.Is(err, amqp.ErrClosed) {
		return err
	}
	if why, ok := <-c.closes; ok {
		return why
	}
	return err
}

// openChannel opens a channel of the caller's own.
func (s *Session) openChannel(ctx context.Context, what string) (*amqp.Channel, error) {
	opened := make(chan *amqp.Channel, 1)
	err := s.call(ctx, what, func() error {
		ch, err := s.conn.Channel()
		if err == nil {
			opened <- ch
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-opened, nil
}

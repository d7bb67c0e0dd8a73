package cupline

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cupline/cupline/schema/push"
)

// State of a listener.
type State string

// The states. A listener begins as Connecting, goes between Online, Lagging, Recovering
// and Offline, and ends as Closed.
const (
	// Connecting for the first time.
	Connecting State = "connecting"
	// Online: outcomes come as they are decided.
	Online State = "online"
	// Lagging: connected, and outcomes come by way of the mailbox until they are caught up.
	Lagging State = "lagging"
	// Recovering: the connection was lost a moment ago, and the platform keeps its place.
	Recovering State = "recovering"
	// Offline: no connection for longer than that. It is still tried.
	Offline State = "offline"
	// Closed for good, by Close or by the platform.
	Closed State = "closed"
)

// Status is what is known of a listener's connection.
type Status struct {
	State State
	Since time.Time
	// Session and Client are what the last welcome named; empty before.
	Session, Client string
	// Waiting outcomes lie in the mailbox, and Missed ones were refused because it was
	// full, both as the platform last said.
	Waiting, Missed int64
	// Err is why the last attempt or connection ended; nil while connected.
	Err error
}

// Status now.
func (l *Listener) Status() Status {
	status, _ := l.status.read()
	return status
}

// Changed is closed at the next change of the status; ask again afterwards.
func (l *Listener) Changed() <-chan struct{} {
	_, changed := l.status.read()
	return changed
}

// WaitOnline returns when the listener is connected, or with the reason why it ended or
// was not connected before ctx was done.
func (l *Listener) WaitOnline(ctx context.Context) error {
	for {
		status, changed := l.status.read()
		switch {
		case status.State == Online || status.State == Lagging:
			return nil
		case status.State == Closed && status.Err != nil:
			return fmt.Errorf("wait for a connection: %w", status.Err)
		case status.State == Closed:
			return fmt.Errorf("wait for a connection: %w", errListenerClosed)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if status.Err != nil {
				return fmt.Errorf("wait for a connection: %w: %w", context.Cause(ctx), status.Err)
			}
			return fmt.Errorf("wait for a connection: %w", context.Cause(ctx))
		}
	}
}

// statusBoard holds the status. mu guards status, changed, keep and lostAt.
type statusBoard struct {
	mu      sync.Mutex
	status  Status
	changed chan struct{}
	keep    time.Duration // how long the platform keeps a lost session's place
	lostAt  time.Time
}

func newStatusBoard() *statusBoard {
	return &statusBoard{
		status:  Status{State: Connecting, Since: time.Now()},
		changed: make(chan struct{}),
	}
}

func (b *statusBoard) read() (Status, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status, b.changed
}

// change applies f and tells those who wait.
func (b *statusBoard) change(f func(s *Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.status.State
	f(&b.status)
	if b.status.State != before {
		b.status.Since = time.Now()
	}
	close(b.changed)
	b.changed = make(chan struct{})
}

// lost notes an attempt or a connection that failed.
func (b *statusBoard) lost(err error) {
	b.change(func(s *Status) {
		s.Err = err
		switch s.State {
		case Online, Lagging:
			b.lostAt = time.Now()
			s.State = Recovering
		case Recovering:
			if time.Since(b.lostAt) > b.keep {
				s.State = Offline
			}
		default:
			s.State = Offline
		}
	})
}

func (b *statusBoard) closed(err error) {
	b.change(func(s *Status) { s.State, s.Err = Closed, err })
}

func (b *statusBoard) welcomed(w push.Welcome) {
	b.change(func(s *Status) {
		b.keep = time.Duration(w.Reconnect) * time.Second
		s.State, s.Err = Online, nil
		s.Session, s.Client, s.Waiting, s.Missed = w.Session, w.Client, w.Waiting, w.Missed
	})
}

func (b *statusBoard) lag(l push.Lag) {
	b.change(func(s *Status) {
		s.Waiting = l.Waiting
		switch {
		case l.On && s.State == Online:
			s.State = Lagging
		case !l.On && s.State == Lagging:
			s.State = Online
		}
	})
}

// told notes a problem that does not close the connection.
func (b *statusBoard) told(e push.Error) {
	b.change(func(s *Status) { s.Err = fmt.Errorf("the platform reports %s: %s", e.Code, e.Message) })
}

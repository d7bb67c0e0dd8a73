package broker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// State tells whether a link is usable.
type State int

// States of a link.
const (
	// Down: no connection, or its OnUp steps are not done.
	Down State = iota
	// Up: connected, and every OnUp step is done.
	Up
)

// String is "down" or "up".
func (s State) String() string {
	if s == Up {
		return "up"
	}
	return "down"
}

// Status is what is known of a link at one moment.
type Status struct {
	State State
	// Blocked: the broker has an alarm and takes no publishes from this connection. Only
	// connections that publish are told.
	Blocked       bool
	BlockedReason string
	// Generation counts connections, from 1; it is that of the last one while Down.
	Generation uint64
	// Since is when State last changed.
	Since time.Time
	// LastError is why the link is down, or was last.
	LastError error
	// ServerVersion of the broker that is, or was last, connected, such as "3.10.8".
	ServerVersion string
}

// Status of the link now.
func (l *Link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Blocked reports whether the broker takes no publishes from this link because of a memory
// or disk alarm, and the broker's reason.
func (l *Link) Blocked() (reason string, blocked bool) {
	status := l.Status()
	return status.BlockedReason, status.Blocked
}

// Changed returns a channel that is closed at the next change of the link's status. Take it
// before asking for the status, or a change in between is missed.
func (l *Link) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// Ready is nil when the link is up and not blocked; otherwise its text is a sentence for an
// operator.
func (l *Link) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready()
}

func (l *Link) ready() error {
	switch {
	case l.stopped:
		return ErrClosed
	case !l.complete():
		since := time.Since(l.status.Since).Round(time.Second)
		if l.status.LastError == nil {
			return fmt.Errorf("not connected to the broker yet, for %s", since)
		}
		return fmt.Errorf("no link to the broker for %s: %w", since, l.status.LastError)
	case l.status.Blocked:
		return fmt.Errorf("the broker takes no messages: %s", l.status.BlockedReason)
	}
	return nil
}

// complete says that the link is up, no step was registered since, and the connection is
// not just being found lost. Needs l.mu.
func (l *Link) complete() bool {
	return l.status.State == Up && l.ran == len(l.steps) && l.session.alive()
}

// Wait returns nil once the link is up and every step registered so far is done; ErrClosed
// when it was stopped; else the context's error and why the link is down.
func (l *Link) Wait(ctx context.Context) error {
	return l.until(ctx, l.complete)
}

// WaitReady is Wait for a link that is not blocked either.
func (l *Link) WaitReady(ctx context.Context) error {
	return l.until(ctx, func() bool { return l.complete() && !l.status.Blocked })
}

// until waits for a condition on fields that l.mu guards.
func (l *Link) until(ctx context.Context, condition func() bool) error {
	for {
		l.mu.Lock()
		holds, stopped, changed, why := condition(), l.stopped, l.changed, l.ready()
		l.mu.Unlock()
		switch {
		case stopped:
			return ErrClosed
		case holds:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), why)
		}
	}
}

// update changes what l.mu guards, and tells whoever waits on Changed.
func (l *Link) update(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

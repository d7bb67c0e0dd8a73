package cupline

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cupline/cupline/schema/push"
)

// ListenConfig says what to do with outcomes; only Handle is required.
type ListenConfig struct {
	// Handle gets each outcome that no [Call] waits for, one at a time and in order. With
	// nil the outcome is acked and never comes again. With an error it is not: the
	// connection is closed, and made anew after a wait, so that it comes again with all
	// behind it. ctx ends when the connection is lost or the listener closes; a handler
	// that finishes all the same and returns nil is believed. Past 5 s in one handler the
	// platform goes over to its mailbox, past 30 s it closes the connection.
	Handle func(ctx context.Context, o Outcome) error
	// Window is how many outcomes may be unacked, 1 to 64; 0 is 64. The platform may grant less.
	Window int
	// Remember is how many command ids are kept to drop outcomes that come twice; 0 is 16,384.
	Remember int
	// MaxMessage is the longest WebSocket message taken, in bytes; 0 is 16 MiB.
	MaxMessage int64
	// MinWait and MaxWait bound the random wait between attempts to connect; 0 is 250 ms
	// and 30 s.
	MinWait, MaxWait time.Duration
	// TLS is for wss://; nil trusts the system's authorities.
	TLS *tls.Config
}

// Defaults and limits of ListenConfig.
const (
	defaultWindow     = 64
	defaultRemember   = 16 << 10
	defaultMaxMessage = 16 << 20
	defaultMinWait    = 250 * time.Millisecond
	defaultMaxWait    = 30 * time.Second
)

func (cfg ListenConfig) complete() (ListenConfig, error) {
	var problems []error
	if cfg.Handle == nil {
		problems = append(problems, errors.New("no Handle: outcomes that nobody takes would be lost"))
	}
	if cfg.Window < 0 || cfg.Window > defaultWindow {
		problems = append(problems, fmt.Errorf("a Window of %d: must be 1 to %d", cfg.Window, defaultWindow))
	}
	if cfg.Remember < 0 || cfg.MaxMessage < 0 || cfg.MinWait < 0 || cfg.MaxWait < 0 {
		problems = append(problems, errors.New("a negative Remember, MaxMessage, MinWait or MaxWait"))
	}
	setDefault(&cfg.Window, defaultWindow)
	setDefault(&cfg.Remember, defaultRemember)
	setDefault(&cfg.MaxMessage, int64(defaultMaxMessage))
	setDefault(&cfg.MinWait, defaultMinWait)
	setDefault(&cfg.MaxWait, defaultMaxWait)
	return cfg, errors.Join(problems...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Listener is a supervised connection to the platform: it connects, connects again
// whenever the connection is lost, and ends only when it is closed or the platform says
// that trying again is of no use. It is safe for concurrent use.
type Listener struct {
	client *Client
	cfg    ListenConfig
	status *statusBoard
	calls  *callBook
	seen   *memory
	cancel context.CancelFunc
	done   chan struct{}
	err    error // written before done is closed
}

// Listen starts a listener. It returns at once; see WaitOnline. Close it when done.
func (c *Client) Listen(cfg ListenConfig) (*Listener, error) {
	if c.push == nil {
		return nil, errors.New("listen: the client has no PushURL")
	}
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Listener{
		client: c, cfg: cfg, status: newStatusBoard(), calls: newCallBook(), seen: newMemory(cfg.Remember),
		cancel: cancel, done: make(chan struct{}),
	}
	go func() {
		defer close(l.done)
		l.err = l.supervise(ctx)
		l.status.closed(l.err)
	}()
	return l, nil
}

// Close acks what was handled, closes the connection, and returns when the handler has
// returned and all is over. Its error is Err's. It may be called twice.
func (l *Listener) Close() error {
	l.cancel()
	<-l.done
	return l.err
}

// Done is closed when the listener has ended.
func (l *Listener) Done() <-chan struct{} { return l.done }

// Err is nil while the listener runs and after Close; else it says why the platform wants
// no more of it: a *CloseError or a *Problem.
func (l *Listener) Err() error {
	select {
	case <-l.done:
		return l.err
	default:
		return nil
	}
}

// CloseError says that the platform closed the connection, and why.
type CloseError struct {
	Code   push.CloseCode
	Reason string
}

// Error is the code and its reason.
func (e *CloseError) Error() string {
	reason := e.Reason
	if reason == "" {
		reason = e.Code.Reason()
	}
	return fmt.Sprintf("the platform closed the connection: %d %s", e.Code, reason)
}

// settled is how long a connection has to last before the wait after it starts small again.
const settled = 10 * time.Second

func (l *Listener) supervise(ctx context.Context) error {
	previous, failures := "", 0
	for {
		end := l.connect(ctx, previous)
		if ctx.Err() != nil {
			return nil
		}
		if end.advice == push.Stop {
			return end.err
		}
		if end.session != "" {
			previous = end.session
		}
		if end.lasted >= settled {
			failures = 0
		}
		l.status.lost(end.err)
		wait := fullJitter(l.cfg.MinWait, l.cfg.MaxWait, failures)
		if end.advice == push.BackOff {
			wait += l.cfg.MinWait
		}
		if end.drained {
			// The platform gave each client a moment of its own.
			wait = 0
		} else {
			failures++
		}
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// fullJitter is a random wait up to a limit that doubles with each failure, so that
// clients that lost their pusher together do not come back together.
func fullJitter(low, high time.Duration, failures int) time.Duration {
	limit := low
	for range failures {
		if limit >= high {
			break
		}
		limit *= 2
	}
	return rand.N(min(limit, high) + 1)
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

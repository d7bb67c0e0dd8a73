package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// errStopped is the cause that ends a session when the link is stopped.
var errStopped = errors.New("the link was stopped")

// complainEvery bounds how often a broker that stays away is logged.
const complainEvery = time.Minute

// Link is one supervised connection to the broker. Make it with NewLink, register steps
// with OnUp (publishers and consumers register their own), then Start it.
type Link struct {
	cfg  Config
	crew crew          // waits of Submit, which outlive a session
	kick chan struct{} // a step was registered; holds one
	done chan struct{} // closed when run has returned

	mu      sync.Mutex // guards the rest
	steps   []step
	ran     int // steps done on the present session
	session *Session
	status  Status
	changed chan struct{} // closed and replaced at each change of status
	started bool
	stopped bool
	cancel  context.CancelFunc
}

type step struct {
	name string
	run  func(ctx context.Context, s *Session) error
}

// NewLink makes a link; it dials once it is started.
func NewLink(cfg Config) *Link {
	return &Link{
		cfg:     cfg.withDefaults(),
		kick:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
		status:  Status{Since: time.Now()},
	}
}

// OnUp registers a step for every (re)connect. Steps run one after the other in the order
// of registration, before the link counts as up; an error drops the connection, and it is
// tried again after a backoff of 100 ms to 5 s. A step registered while the link is up runs
// on the present connection as well. The step's context ends when the connection is lost.
func (l *Link) OnUp(name string, run func(ctx context.Context, s *Session) error) {
	l.update(func() { l.steps = append(l.steps, step{name, run}) })
	select {
	case l.kick <- struct{}{}:
	default: // already kicked
	}
}

// Start begins to connect, and does not wait for the broker. ctx gives its values to the
// steps; its end does not stop the link, only Stop does. Starting twice changes nothing;
// the error is ErrClosed after Stop, or says which URL is not valid.
func (l *Link) Start(ctx context.Context) error {
	urls, err := l.cfg.urls()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return ErrClosed
	}
	if l.started {
		return nil
	}
	l.started = true
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go l.run(ctx, urls)
	return nil
}

// Stop closes the connection, and returns when every goroutine of the link is gone: acks
// not yet written are written, publishes not yet confirmed are in doubt. When ctx ends
// first, its error is returned and the rest ends in the background. Stopping twice, or
// before Start, is fine.
func (l *Link) Stop(ctx context.Context) error {
	first := false
	l.update(func() { first, l.stopped = !l.stopped, true })
	if first {
		if l.cancel == nil {
			close(l.done)
		} else {
			l.cancel()
		}
	}
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the broker link %s: %w", l.cfg.Name, ctx.Err())
	}
}

// Do runs f on the caller's goroutine with the live session, for binds, deletes and
// questions. It answers ErrUnavailable when the link is down. f's calls answer
// ErrUnavailable once the connection is lost.
func (l *Link) Do(ctx context.Context, f func(ctx context.Context, s *Session) error) error {
	l.mu.Lock()
	s, up, why := l.session, l.status.State == Up, l.status.LastError
	l.mu.Unlock()
	if !up {
		return errors.Join(ErrUnavailable, why)
	}
	return f(ctx, s)
}

// run is the supervisor: one connection after the other until ctx ends.
func (l *Link) run(ctx context.Context, urls []string) {
	defer close(l.done)
	defer l.crew.Wait()
	var wait backoff
	var complained time.Time
	url := 0
	for {
		began := time.Now()
		wasUp, err := l.serve(ctx, urls, &url)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > steady {
			wait.reset()
		}
		pause := wait.next()
		if wasUp || time.Since(complained) > complainEvery {
			complained = time.Now()
			l.cfg.Log.Warn("broker link is down", zap.Error(err), zap.Duration("retry_in", pause), zap.Bool("was_up", wasUp))
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// serve is one connection, from the dial to its end. It returns whether it was ever up,
// and why it ended.
func (l *Link) serve(ctx context.Context, urls []string, url *int) (wasUp bool, err error) {
	conn, socket, n, err := dialAny(ctx, urls, *url, l.cfg)
	if err != nil {
		*url = (*url + 1) % len(urls)
		l.down(err)
		return false, err
	}
	*url = n
	s := newSession(ctx, l, conn, socket, l.Status().Generation+1) // a connection that does not come about counts for none
	l.update(func() {
		l.session, l.ran = s, 0
		l.status.Generation, l.status.ServerVersion = s.generation, s.version
	})
	wasUp, err = l.live(s)
	s.end(err)
	l.down(context.Cause(s.life))
	s.close()
	return wasUp, context.Cause(s.life)
}

// live runs the steps, those that are there and those that come later, until the session
// is lost or a step fails.
func (l *Link) live(s *Session) (wasUp bool, err error) {
	for {
		if err := l.runSteps(s); err != nil {
			return wasUp, err
		}
		if !wasUp {
			wasUp = true
			l.cfg.Log.Info("broker link is up", zap.Uint64("generation", s.generation), zap.String("broker", s.version))
		}
		select {
		case <-l.kick:
		case <-s.life.Done():
			return wasUp, context.Cause(s.life)
		}
	}
}

func (l *Link) runSteps(s *Session) error {
	for {
		l.mu.Lock()
		if l.ran == len(l.steps) {
			l.mu.Unlock()
			l.up()
			return nil
		}
		next := l.steps[l.ran]
		l.mu.Unlock()
		ctx, cancel := context.WithTimeout(s.life, l.cfg.StepTimeout)
		err := next.run(ctx, s)
		cancel()
		if err != nil {
			return fmt.Errorf("broker link step %q: %w", next.name, err)
		}
		l.update(func() { l.ran++ })
	}
}

func (l *Link) up() {
	l.update(func() {
		if l.status.State == Down {
			l.status.State, l.status.Since, l.status.LastError = Up, time.Now(), nil
			l.cfg.Metrics.connected(l.cfg.Name) // before anybody sees that it is up
		}
	})
}

func (l *Link) down(why error) {
	l.update(func() {
		if l.status.State == Up {
			l.status.State, l.status.Since = Down, time.Now()
			l.cfg.Metrics.disconnected(l.cfg.Name)
		}
		l.session, l.ran, l.status.LastError = nil, 0, why
		l.status.Blocked, l.status.BlockedReason = false, ""
	})
}

// background runs f, which waits for a publish of some session and then tells its caller,
// in a goroutine that Stop waits for. After Stop there is nothing left to wait for, and f
// returns by itself at once; then nobody waits for it.
func (l *Link) background(f func()) {
	if !l.crew.Go(f) {
		go f()
	}
}

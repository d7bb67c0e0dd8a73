package audit

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
)

// Failed log-ins go into the trail in the background and only so many a second, each process: whoever
// tries keys must neither fill the database nor wait for it. Of the rest the next entry tells how many there were.
const (
	loginRate    = 10 // entries a second
	loginBurst   = 100
	loginQueue   = 256
	loginTimeout = 5 * time.Second
)

// Logins writes failed log-ins into the audit trail of topology.SystemTenant, because who failed has not shown
// whose he is. It is safe for concurrent use.
type Logins struct {
	trail   *Trail
	stage   string
	log     *zap.Logger
	limiter *rate.Limiter
	queue   chan Entry
	left    atomic.Int64 // not written, and not told of yet
	stop    context.CancelFunc
	done    chan struct{}
}

// NewLogins makes one for a stage; Start begins to write.
func NewLogins(trail *Trail, stage string, log *zap.Logger) *Logins {
	return &Logins{
		trail: trail, stage: stage, log: log, limiter: rate.NewLimiter(loginRate, loginBurst),
		queue: make(chan Entry, loginQueue), stop: func() {}, done: make(chan struct{}),
	}
}

// Start begins to write in the background.
func (l *Logins) Start(ctx context.Context) error {
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(l.done)
		for {
			select {
			case e := <-l.queue:
				l.write(ctx, e)
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// Stop ends that; what is queued is given up.
func (l *Logins) Stop(ctx context.Context) error {
	l.stop()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop writing failed log-ins: %w", context.Cause(ctx))
	}
}

// Failed notes a failed log-in: who it claimed to be, from where (empty when not known) and why it failed. It never blocks.
func (l *Logins) Failed(claimed, from, why string) {
	if !l.limiter.Allow() {
		l.left.Add(1)
		return
	}
	detail := why
	if from != "" {
		detail = "from " + from + ": " + why
	}
	if left := l.left.Swap(0); left > 0 {
		detail += fmt.Sprintf(" (and %d more before it that are not listed)", left)
	}
	select {
	case l.queue <- Entry{Tenant: topology.SystemTenant, Stage: l.stage, Action: "login_failed", Actor: claimed, Detail: detail}:
	default:
		l.left.Add(1)
	}
}

func (l *Logins) write(ctx context.Context, e Entry) {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	if err := l.trail.Append(store.ForTenant(ctx, e.Tenant), e); err != nil && ctx.Err() == nil {
		l.left.Add(1)
		l.log.Warn("a failed log-in is not in the audit trail", zap.String("tenant", e.Tenant), zap.String("actor", e.Actor), zap.String("detail", e.Detail), zap.Error(err))
	}
}

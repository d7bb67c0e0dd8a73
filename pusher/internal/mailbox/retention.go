package mailbox

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// Pruner deletes what mailboxes keep no longer; store/mailbox.
type Pruner interface {
	Prune(ctx context.Context, ackedBefore, storedBefore time.Time, limit int) (acked, expired int64, err error)
}

// RetentionConfig of a Retention. All fields are required.
type RetentionConfig struct {
	// Every is how often it looks, Limit the most rows of one transaction.
	Every time.Duration
	Limit int
	// Acked outcomes are kept that long, so that copies which come late are known; Waiting
	// ones, which nobody fetched, that long.
	Acked, Waiting time.Duration
	Store          Pruner
	// Now in database time.
	Now func() time.Time
	// Expired counts outcomes that nobody fetched in time.
	Expired func(n int64)
	Log     *zap.Logger
}

// Retention prunes mailboxes now and then. Any number of processes may do so.
type Retention struct {
	cfg    RetentionConfig
	cancel context.CancelFunc
	done   chan struct{}
}

// NewRetention makes one that prunes once it is started.
func NewRetention(cfg RetentionConfig) *Retention {
	return &Retention{cfg: cfg, cancel: func() {}, done: make(chan struct{})}
}

// Start begins to prune.
func (r *Retention) Start(ctx context.Context) error {
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go r.run(ctx)
	return nil
}

// Stop ends it, and what it is doing.
func (r *Retention) Stop(context.Context) error {
	r.cancel()
	<-r.done
	return nil
}

func (r *Retention) run(ctx context.Context) {
	defer close(r.done)
	ticker := time.NewTicker(r.cfg.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.prune(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// prune deletes until less than Limit was left to delete.
func (r *Retention) prune(ctx context.Context) {
	for ctx.Err() == nil {
		now := r.cfg.Now()
		acked, expired, err := r.cfg.Store.Prune(ctx, now.Add(-r.cfg.Acked), now.Add(-r.cfg.Waiting), r.cfg.Limit)
		if err != nil {
			if ctx.Err() == nil {
				r.cfg.Log.Warn("mailboxes not pruned; it is tried again", zap.Error(err))
			}
			return
		}
		if expired > 0 {
			r.cfg.Expired(expired)
			r.cfg.Log.Warn("outcomes that nobody fetched were deleted", zap.Int64("outcomes", expired))
		}
		if max(acked, expired) < int64(r.cfg.Limit) {
			return
		}
	}
}

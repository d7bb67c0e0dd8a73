package mailbox

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/changes"
)

// Quota knows from memory which mailboxes are full, kept fresh by notifications. Memory is
// one entry for each full mailbox. It is a changes.Subscriber and safe for concurrent use.
//
// A mailbox is full from the moment it reaches a limit, or an outcome was refused for it,
// until it is down to nine tenths of both limits, so that a client at the edge does not
// flap. While notifications do not come, and until the load after them, the last that was
// known holds: what a late word lets in is refused by Store.Put, and counted.
type Quota struct {
	pool *postgres.Pool
	log  *zap.Logger
	kick chan struct{} // a load is wanted
	stop context.CancelFunc
	work sync.WaitGroup

	mu   sync.RWMutex // guards what follows
	full map[box]bool
	// since holds what was notified during a load: it is newer than what the load finds.
	since map[box]bool
}

const (
	quotaRetry = 500 * time.Millisecond
	quotaLimit = 5 * time.Second
)

// NewQuota makes a quota; it knows of no full mailbox until it is started and connected.
func NewQuota(pool *postgres.Pool, log *zap.Logger) *Quota {
	return &Quota{pool: pool, log: log, kick: make(chan struct{}, 1), stop: func() {}, full: map[box]bool{}}
}

// Start lets it load in the background, after each Connected and until it succeeds.
func (q *Quota) Start(ctx context.Context) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	q.stop = stop
	q.work.Go(func() { q.run(run) })
	return nil
}

// Stop ends it, and waits until it has.
func (q *Quota) Stop(context.Context) error {
	q.stop()
	q.work.Wait()
	return nil
}

// Full reports whether new commands of that client are to be refused with 429.
func (q *Quota) Full(tenant, client string) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.full[box{tenant, client}]
}

// Channels is changes.Quota.
func (q *Quota) Channels() []string { return []string{changes.Quota} }

// Notify takes one crossing of a quota.
func (q *Quota) Notify(_ context.Context, _, payload string) {
	words := strings.Split(payload, " ")
	if len(words) != 3 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	b, full := box{words[1], words[2]}, words[0] == "full"
	set(q.full, b, full)
	if q.since != nil {
		q.since[b] = full
	}
}

func set(boxes map[box]bool, b box, full bool) {
	if full {
		boxes[b] = true
	} else {
		delete(boxes, b)
	}
}

// Connected has all full mailboxes loaded anew.
func (q *Quota) Connected(context.Context) {
	select {
	case q.kick <- struct{}{}:
	default: // it is about to load
	}
}

// Disconnected keeps what is known.
func (q *Quota) Disconnected() {}

func (q *Quota) run(ctx context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.kick:
		case <-again:
		}
		again = nil
		if err := q.load(ctx); err != nil && ctx.Err() == nil {
			q.log.Warn("full mailboxes are not known anew", zap.Error(err))
			again = time.After(quotaRetry)
		}
	}
}

func (q *Quota) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quotaLimit)
	defer cancel()
	q.mu.Lock()
	q.since = map[box]bool{}
	q.mu.Unlock()
	rows, err := q.pool.Query(store.ForEveryTenant(ctx), `select tenant, client from mailbox_clients where "full"`)
	if err != nil {
		return fmt.Errorf("load full mailboxes: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b box, err error) {
		err = row.Scan(&b.tenant, &b.client)
		return b, err
	})
	if err != nil {
		return fmt.Errorf("load full mailboxes: %w", err)
	}
	full := make(map[box]bool, len(found))
	for _, b := range found {
		full[b] = true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for b, is := range q.since {
		set(full, b, is)
	}
	q.full, q.since = full, nil
	return nil
}

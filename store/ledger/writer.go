package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
)

// Config of a Writer. Zero values mean the defaults.
type Config struct {
	// Connections is how many batches may be in flight at once, 1 to 4. Default 2.
	Connections int
	// MaxBatch is the most operations in one transaction, 1 to 256. Default 128.
	MaxBatch int
	// Queue is how many operations may wait; past it callers wait within their context.
	// 1 to 65,536. Default 4,096.
	Queue int
	// BatchTimeout bounds one batch, connecting included, and so how long a dead link is
	// waited for. 100 ms to 1 min. Default 5 s.
	BatchTimeout time.Duration
}

func (c Config) withDefaults() Config {
	c.Connections = cmp.Or(c.Connections, 2)
	c.MaxBatch = cmp.Or(c.MaxBatch, 128)
	c.Queue = cmp.Or(c.Queue, 4096)
	c.BatchTimeout = cmp.Or(c.BatchTimeout, 5*time.Second)
	return c
}

// Check reports every problem at once.
func (c Config) Check() error {
	c = c.withDefaults()
	var problems []error
	between := func(name string, value, least, most int) {
		if value < least || value > most {
			problems = append(problems, fmt.Errorf("ledger %s %d: must be %d to %d", name, value, least, most))
		}
	}
	between("connections", c.Connections, 1, 4)
	between("batch", c.MaxBatch, 1, 256)
	between("queue", c.Queue, 1, 65536)
	if c.BatchTimeout < 100*time.Millisecond || c.BatchTimeout > time.Minute {
		problems = append(problems, fmt.Errorf("ledger batch timeout %s: must be 100ms to 1m", c.BatchTimeout))
	}
	return errors.Join(problems...)
}

var errStopped = fmt.Errorf("the ledger writer was stopped: %w", store.ErrUnavailable)

// Writer groups the ledger writes of concurrent commands: while one batch is on its way the
// next one forms, and an idle writer sends at once. It is safe for concurrent use.
//
// Every method may be called again, as it was, after store.ErrUnavailable: the claim token and
// the command id make that harmless. store.ErrRefused means that this row's data can never be
// stored; other rows of its batch are not touched by it. When ctx ends first the error is
// that of ctx; a write that was still waiting is not made then, one on its way may be.
type Writer struct {
	pool    *postgres.Pool
	cfg     Config
	metrics *Metrics
	queue   chan *operation

	stopping chan struct{} // closed: take no more
	stopped  chan struct{} // closed: all workers are gone
	start    sync.Once
	stop     sync.Once
	workers  sync.WaitGroup
	cancel   context.CancelCauseFunc // ends what is in flight
}

// NewWriter makes a writer. Its error names every problem of cfg. The pool needs
// cfg.Connections connections that nobody else holds for long. metrics may be nil.
func NewWriter(pool *postgres.Pool, cfg Config, metrics *Metrics) (*Writer, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if metrics == nil {
		metrics = NewMetrics(nil)
	}
	return &Writer{
		pool: pool, cfg: cfg, metrics: metrics,
		queue:    make(chan *operation, cfg.Queue),
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
		cancel:   func(error) {},
	}, nil
}

// Start begins to write; it does not block and needs no database yet.
func (w *Writer) Start(ctx context.Context) error {
	w.start.Do(func() {
		// Batches outlive the start; Stop ends them.
		var run context.Context
		run, w.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		for range w.cfg.Connections {
			w.workers.Go(func() { w.work(run) })
		}
	})
	return nil
}

// Stop refuses new operations, finishes those that wait, and returns when all is done. When
// ctx ends first, what is in flight is cut off.
func (w *Writer) Stop(ctx context.Context) error {
	w.start.Do(func() {}) // one that never started does not start any more
	w.stop.Do(func() {
		close(w.stopping)
		go func() { // ends with the workers, which the cancel below ends
			w.workers.Wait()
			close(w.stopped)
		}()
	})
	select {
	case <-w.stopped:
		w.cancel(errStopped)
		return nil
	case <-ctx.Done():
		w.cancel(errStopped)
		<-w.stopped
		return fmt.Errorf("stop the ledger writer: %w", ctx.Err())
	}
}

// Claim inserts a row, or returns the one that is there.
func (w *Writer) Claim(ctx context.Context, claim Claim) (Claimed, error) {
	op := &operation{kind: claiming, claim: claim}
	if err := w.do(ctx, op); err != nil {
		return Claimed{}, fmt.Errorf("claim: %w", err)
	}
	return Claimed{Mine: op.hit || op.row.Token == claim.Token, Row: op.row}, nil
}

// Reclaim gives an open row of that command a new token and a new start, so that an
// idempotent command can run again. ok is false when the row is decided, gone, or under
// a token other than old; row is then what stands, if anything.
func (w *Writer) Reclaim(ctx context.Context, key Key, commandID, old, fresh uuid.UUID) (row Row, ok bool, err error) {
	op := &operation{kind: reclaiming, key: key, commandID: commandID, old: old, fresh: fresh}
	if err := w.do(ctx, op); err != nil {
		return Row{}, false, fmt.Errorf("reclaim: %w", err)
	}
	return op.row, op.hit, nil
}

// Decide sets the outcome of the row with that key and command id if it has none, and returns the row as
// it then stands. won is true only when this call set it. ErrNoRow when there is none of that key.
// After a lost answer the same decision called again finds itself in the row, with won false.
func (w *Writer) Decide(ctx context.Context, d Decision) (row Row, won bool, err error) {
	op := &operation{kind: deciding, decision: d}
	if err := w.do(ctx, op); err != nil {
		return Row{}, false, fmt.Errorf("decide: %w", err)
	}
	if !op.found {
		return Row{}, false, fmt.Errorf("decide: %w", ErrNoRow)
	}
	return op.row, op.hit, nil
}

// Delivered notes acks of clients. Marks of rows that are not there, not decided, or
// marked already do nothing.
func (w *Writer) Delivered(ctx context.Context, marks []DeliveredMark) error {
	ops := make([]*operation, len(marks))
	for i := range marks {
		ops[i] = &operation{kind: delivering, mark: marks[i]}
	}
	if err := w.do(ctx, ops...); err != nil {
		return fmt.Errorf("note deliveries: %w", err)
	}
	return nil
}

// do hands operations to the batches and waits for all of them.
func (w *Writer) do(ctx context.Context, ops ...*operation) error {
	done := make(chan *operation, len(ops))
	for i, op := range ops {
		op.done = done
		if err := w.submit(ctx, op); err != nil {
			abandon(ops[:i])
			return err
		}
	}
	var problems []error
	for range ops {
		op, err := w.await(ctx, done)
		if err != nil {
			abandon(ops)
			return err
		}
		problems = append(problems, op.err)
	}
	return errors.Join(problems...)
}

func (w *Writer) submit(ctx context.Context, op *operation) error {
	if err := op.check(); err != nil {
		return err
	}
	select {
	case <-w.stopping:
		return errStopped
	default:
	}
	select {
	case w.queue <- op:
		return nil
	case <-w.stopping:
		return errStopped
	case <-ctx.Done():
		return fmt.Errorf("wait for a place in the queue: %w", ctx.Err())
	}
}

func (w *Writer) await(ctx context.Context, done <-chan *operation) (*operation, error) {
	select {
	case op := <-done:
		return op, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the batch: %w", ctx.Err())
	case <-w.stopped:
	}
	select {
	case op := <-done: // answered by the last batch
		return op, nil
	default: // came in behind it
		return nil, errStopped
	}
}

// abandon takes back what no batch has taken yet.
func abandon(ops []*operation) {
	for _, op := range ops {
		op.state.CompareAndSwap(waiting, abandoned)
	}
}

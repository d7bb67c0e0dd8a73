package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/pusher/internal/session"
)

// Mark says that a client has got the outcome of a command.
type Mark struct {
	Tenant string
	Client string
	ID     uuid.UUID // the command id
	// RawID is the client's own id of an outcome that was sent live, of which a copy may yet come to the mailbox; empty
	// for what was fetched from there.
	RawID string
}

func markOf(it *session.Item) Mark {
	m := Mark{Tenant: it.Tenant, Client: it.Client, ID: it.ID}
	if it.IsLive() {
		m.RawID = string(it.Outcome.ID)
	}
	return m
}

// ErrRefused is what a write answers when calling again cannot help.
var ErrRefused = errors.New("the database refuses the note")

// ReceiptsConfig of Receipts. All fields but Tracer are required.
type ReceiptsConfig struct {
	// Name for logs and metrics: "ledger" or "mailbox".
	Name string
	// Write notes that clients have got outcomes. It may be called again after an error
	// that is not ErrRefused.
	Write func(ctx context.Context, marks []Mark) error
	// Timeout bounds one write, and so how long acks of deliveries wait for a database that is away.
	Timeout time.Duration
	// Retry is the wait after a write that failed.
	Retry time.Duration
	// Backlog is how many notes are kept while the database is away; past it the oldest are forgotten,
	// and clients may be given those outcomes once more.
	Backlog int
	// Forgotten counts them.
	Forgotten func(notes int)
	// Tracer of acks of what came from the mailbox; nil is off.
	Tracer *tracing.Tracer
	Log    *zap.Logger
}

// writeRun is the most notes of one write.
const writeRun = 256

// Receipts notes clients' acks in the database, in batches: while one is written the next one
// forms. A delivery that waits for its note is acked after it, or, when the database is
// away, after one attempt: the client has the outcome, and the note is kept and tried again.
type Receipts struct {
	cfg    ReceiptsConfig
	wake   chan struct{} // holds one
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex // guards the rest
	waiting []receipt
	// unnoted counts each client's notes that wait or are being written; changed is closed
	// at the next write, and nil while nobody waits for it.
	unnoted map[client]int
	changed chan struct{}
}

type client struct{ tenant, client string }

type receipt struct {
	Mark
	delivery acker // nil when nothing waits for the note
}

// acker is a delivery; chassis/broker.
type acker interface{ Ack() }

// NewReceipts makes one that writes once it is started.
func NewReceipts(cfg ReceiptsConfig) *Receipts {
	return &Receipts{
		cfg: cfg, wake: make(chan struct{}, 1), cancel: func() {}, done: make(chan struct{}), unnoted: map[client]int{},
	}
}

// Start begins to write.
func (r *Receipts) Start(ctx context.Context) error {
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go r.run(ctx)
	return nil
}

// Stop tries once more to write what is left, bounded by ctx, and returns when all is over.
func (r *Receipts) Stop(ctx context.Context) error {
	r.cancel()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Acked notes an outcome for which no delivery waits. It implements session.Receipts.
func (r *Receipts) Acked(it *session.Item) {
	if it.Trace != "" {
		span := r.cfg.Tracer.Start(tracing.Consumer, "ack from mailbox", tracing.Context{Parent: it.Trace})
		span.Set("cupline.tenant", it.Tenant)
		span.Set("cupline.client", it.Client)
		span.Set("cupline.command_id", it.Outcome.CommandID)
		span.End()
	}
	r.add(receipt{Mark: markOf(it)})
}

// add never blocks: what waits is bounded by the feed's prefetch, the sessions' windows
// and the backlog.
func (r *Receipts) add(n receipt) {
	r.mu.Lock()
	r.waiting = append(r.waiting, n)
	r.unnoted[n.of()]++
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default: // already awake
	}
}

func (n receipt) of() client { return client{n.Tenant, n.Client} }

// Await returns once no more than that many of a client's acks are yet to be noted, or with
// ctx's error. What has not been noted is still on offer in the mailbox, and a session
// remembers only so many acks of its own: with more, it would get the same outcomes again.
func (r *Receipts) Await(ctx context.Context, tenant, name string, atMost int) error {
	for {
		r.mu.Lock()
		if r.unnoted[client{tenant, name}] <= atMost {
			r.mu.Unlock()
			return nil
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the client's acks to be noted: %w", context.Cause(ctx))
		}
	}
}

// settled says that notes are written, or will never be.
func (r *Receipts) settled(batch []receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(batch)
}

// forget needs mu.
func (r *Receipts) forget(notes []receipt) {
	for _, n := range notes {
		if r.unnoted[n.of()]--; r.unnoted[n.of()] <= 0 {
			delete(r.unnoted, n.of())
		}
	}
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

func (r *Receipts) take() []receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), writeRun)
	taken := r.waiting[:n:n]
	if r.waiting = r.waiting[n:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	return taken
}

func (r *Receipts) run(ctx context.Context) {
	defer close(r.done)
	for {
		select {
		case <-r.wake:
			r.writeAll(ctx)
		case <-ctx.Done():
			// A last attempt with a bound of its own.
			r.writeAll(context.WithoutCancel(ctx))
			return
		}
	}
}

// writeAll writes until nothing waits. While the database is away it keeps the notes, acks
// the deliveries, and tries again; at the end of ctx, or without one, it gives up.
func (r *Receipts) writeAll(ctx context.Context) {
	for batch := r.take(); len(batch) > 0; batch = r.take() {
		err := r.write(ctx, batch)
		failpoint.Pass(failpoint.BeforeAck)
		for _, n := range batch {
			if n.delivery != nil {
				n.delivery.Ack()
			}
		}
		if err == nil {
			r.settled(batch)
			continue
		}
		r.cfg.Log.Warn("acks of clients are not noted yet", zap.String("in", r.cfg.Name), zap.Int("acks", len(batch)), zap.Error(err))
		if ctx.Done() == nil {
			r.cfg.Forgotten(len(batch))
			r.release()
			return
		}
		r.keep(batch)
		if !r.pause(ctx) {
			return
		}
	}
}

func (r *Receipts) write(ctx context.Context, batch []receipt) error {
	marks := make([]Mark, len(batch))
	for i, n := range batch {
		marks[i] = n.Mark
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	err := r.cfg.Write(ctx, marks)
	if errors.Is(err, ErrRefused) {
		r.cfg.Log.Error("acks of clients cannot be noted", zap.String("in", r.cfg.Name), zap.Error(err))
		r.cfg.Forgotten(len(batch))
		return nil
	}
	return err
}

// keep puts notes back, their deliveries acked, within the bound.
func (r *Receipts) keep(batch []receipt) {
	for i := range batch {
		batch[i].delivery = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(batch, r.waiting...)
	if over := len(r.waiting) - r.cfg.Backlog; over > 0 {
		for _, n := range r.waiting[:over] {
			if n.delivery != nil {
				n.delivery.Ack()
			}
		}
		r.forget(r.waiting[:over])
		r.waiting = r.waiting[over:]
		r.cfg.Forgotten(over)
	}
}

// pause waits before the next attempt. Deliveries that come meanwhile do not wait for it:
// they are acked, and only their notes are kept.
func (r *Receipts) pause(ctx context.Context) bool {
	timer := time.NewTimer(r.cfg.Retry)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		case <-r.wake:
			r.release()
		}
	}
}

// release acks the deliveries that wait for a note which cannot be written now.
func (r *Receipts) release() {
	r.mu.Lock()
	var waited []receipt
	waited, r.waiting = r.waiting, nil
	r.mu.Unlock()
	for _, n := range waited {
		if n.delivery != nil {
			n.delivery.Ack()
		}
	}
	r.keep(waited)
}

package mailbox

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/pusher/internal/hub"
	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/store/mailbox"
)

// Shelf is what outcomes are fetched from; store/mailbox.
type Shelf interface {
	FetchFrom(ctx context.Context, tenant, client string, from int64, exclude []uuid.UUID, maxRows int, maxBytes int64) (items []mailbox.Item, waiting, oldest int64, err error)
}

// ReaderConfig of a Reader. All fields but Tracer are required.
type ReaderConfig struct {
	// Workers is how many mailboxes are read at once.
	Workers int
	// Timeout bounds one fetch.
	Timeout time.Duration
	Shelf   Shelf
	// Notes are the clients' acks on their way into the mailbox. No mailbox is read while more
	// than Unnoted of its client's are not there yet; it has to be no more than a session
	// surely remembers. Patience bounds the wait for them.
	Notes    Notes
	Unnoted  int
	Patience time.Duration
	// Tracer of what is fetched; nil is off.
	Tracer *tracing.Tracer
	Log    *zap.Logger
}

// Notes waits until no more than that many of a client's acks are yet to be noted; feed.Receipts.
type Notes interface {
	Await(ctx context.Context, tenant, client string, atMost int) error
}

// Reader reads the mailboxes of connected clients for the hub: a few at a time, each client
// in its turn. Its queue is bounded by the number of clients, which stand in it once.
type Reader struct {
	cfg     ReaderConfig
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu     sync.Mutex // guards the rest
	queue  []*hub.Place
	came   *sync.Cond
	closed bool
}

// NewReader makes a reader that reads once it is started.
func NewReader(cfg ReaderConfig) *Reader {
	r := &Reader{cfg: cfg, cancel: func() {}}
	r.came = sync.NewCond(&r.mu)
	return r
}

// Start begins to read.
func (r *Reader) Start(ctx context.Context) error {
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for range r.cfg.Workers {
		r.workers.Go(func() { r.work(ctx) })
	}
	return nil
}

// Stop ends reading; fetches under way are cancelled.
func (r *Reader) Stop(context.Context) error {
	r.cancel()
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.came.Broadcast()
	r.workers.Wait()
	return nil
}

// Read queues a place. It implements hub.Reader.
func (r *Reader) Read(p *hub.Place) {
	r.mu.Lock()
	r.queue = append(r.queue, p)
	r.mu.Unlock()
	r.came.Signal()
}

func (r *Reader) next() *hub.Place {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) == 0 && !r.closed {
		r.came.Wait()
	}
	if r.closed {
		return nil
	}
	p := r.queue[0]
	r.queue[0] = nil
	if r.queue = r.queue[1:]; len(r.queue) == 0 {
		r.queue = nil
	}
	return p
}

func (r *Reader) work(ctx context.Context) {
	for p := r.next(); p != nil; p = r.next() {
		if r.read(ctx, p) {
			// Behind the others.
			r.Read(p)
		}
	}
}

// read reads once, and reports whether there is more to read.
func (r *Reader) read(ctx context.Context, p *hub.Place) (again bool) {
	ask, ok := p.NextRead()
	if !ok {
		return false
	}
	if !r.noted(ctx, p.Key()) {
		p.ReadFailed()
		return false
	}
	limited, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	rows, waiting, oldest, err := r.cfg.Shelf.FetchFrom(limited, ask.Key.Tenant, ask.Key.Client, ask.From, ask.Exclude, ask.Outcomes, int64(ask.Bytes))
	if err != nil {
		if ctx.Err() == nil {
			r.cfg.Log.Warn("mailbox not read; it is tried again",
				zap.String("tenant", ask.Key.Tenant), zap.String("client", ask.Key.Client), zap.Error(err))
		}
		p.ReadFailed()
		return false
	}
	items := make([]*session.Item, 0, len(rows))
	for i := range rows {
		r.trace(&rows[i])
		items = append(items, item(&rows[i]))
	}
	return p.Filled(ask, items, waiting, oldest)
}

// trace goes on with the trace that an outcome was stored with; nothing begins here.
func (r *Reader) trace(row *mailbox.Item) {
	if row.Trace == "" {
		return
	}
	came := tracing.Context{Parent: row.Trace}
	span := r.cfg.Tracer.Start(tracing.Consumer, "fetch from mailbox", came)
	span.Set("cupline.tenant", row.Tenant)
	span.Set("cupline.client", row.Client)
	span.Set("cupline.command_id", row.CommandID.String())
	span.End()
	row.Trace = span.Context(came).Parent
}

// noted waits a moment for the client's acks to be noted.
func (r *Reader) noted(ctx context.Context, key hub.Key) bool {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Patience)
	defer cancel()
	return r.cfg.Notes.Await(ctx, key.Tenant, key.Client, r.cfg.Unnoted) == nil
}

func item(row *mailbox.Item) *session.Item {
	body, err := jsonrpc.OneLine(row.Response, len(row.Response))
	if err != nil {
		// It never gets longer.
		body = row.Response
	}
	response, err := jsonrpc.ParseResponse(body)
	return &session.Item{
		ID: row.CommandID, Tenant: row.Tenant, Client: row.Client, Lane: row.Lane, Accepted: row.Accepted,
		Reason: row.Reason, Failed: err == nil && response.Failed, Trace: row.Trace,
		Outcome: push.Outcome{
			ID: row.RawID, CommandID: row.CommandID.String(), Redrive: row.Redrive, Device: row.Device,
			Method: row.Method, At: row.At, Origin: row.Origin, Response: body,
		},
	}
}

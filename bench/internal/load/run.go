package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Run is one run of a plan. It is a measure.Load.
type Run struct {
	plan    Plan
	epoch   time.Time
	books   []*book
	sockets []*socket
	pending *pending

	issued   atomic.Int64 // commands
	stopped  chan struct{}
	stopOnce sync.Once
	over     chan struct{}
	overOnce sync.Once
	cancel   context.CancelCauseFunc // ends everything, with the first failure
	broken   <-chan struct{}         // closed then, or when all is given up
	cause    func() error
	workers  sync.WaitGroup
	watching sync.WaitGroup

	mu       sync.Mutex // guards the rest
	problems map[int]int
	said     string // the first answer that was no acceptance
}

// New makes a run that has not begun.
func New(plan Plan) *Run {
	return &Run{
		plan: plan, pending: newPending(), stopped: make(chan struct{}), over: make(chan struct{}), problems: map[int]int{},
	}
}

// Start connects all clients and begins to post.
func (r *Run) Start(ctx context.Context) error {
	if err := r.plan.check(); err != nil {
		return err
	}
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r.broken, r.cancel, r.cause = life.Done(), cancel, func() error { return context.Cause(life) }
	r.epoch = time.Now()
	for _, client := range r.plan.Clients {
		r.books = append(r.books, newBook(client.next+1, r.pending))
	}
	if err := r.connect(ctx); err != nil {
		r.cancel(err)
		return errors.Join(err, r.leave())
	}
	if r.plan.Inbox != nil {
		r.watching.Go(func() { r.watch(life) })
	}
	if r.plan.Rate > 0 {
		r.startOpen(life)
	} else {
		r.startClosed(life)
	}
	return nil
}

// connect opens every client's socket, if clients have any.
func (r *Run) connect(ctx context.Context) error {
	for i, client := range r.plan.Clients {
		if len(r.plan.Push) == 0 {
			return nil
		}
		s, err := open(ctx, r.plan.Push[i%len(r.plan.Push)], r.plan.Window, client, r.books[i])
		if err != nil {
			return err
		}
		if i < r.plan.Slow {
			s.pause = r.plan.SlowPause
		}
		r.sockets = append(r.sockets, s)
		s.run(r.now, r.fail)
	}
	return nil
}

func (r *Run) now() time.Duration { return time.Since(r.epoch) }

// fail ends the run; the first failure is the one that is told.
func (r *Run) fail(err error) {
	r.cancel(err)
	r.overOnce.Do(func() { close(r.over) })
}

// Done is how many commands have come to their end so far.
func (r *Run) Done() int64 {
	r.pending.mu.Lock()
	defer r.pending.mu.Unlock()
	return r.pending.sealed
}

// Over is closed when the plan's limit is reached, or the run broke.
func (r *Run) Over() <-chan struct{} { return r.over }

// Stop posts no more, waits for the outcomes of all that was accepted, and logs the clients out. The error says what
// broke, or what Tally.Err finds wrong.
func (r *Run) Stop(ctx context.Context) error {
	r.stopOnce.Do(func() { close(r.stopped) })
	giveUp := context.AfterFunc(ctx, func() { r.cancel(nil) })
	r.workers.Wait()
	giveUp()
	r.pending.end()
	select {
	case <-r.pending.none:
	case <-ctx.Done():
	case <-r.broken:
	}
	broken := r.cause()
	if errors.Is(broken, context.Canceled) {
		broken = nil // given up: what is missing tells the rest
	}
	r.cancel(nil)
	err := errors.Join(broken, r.leave())
	for i, client := range r.plan.Clients {
		client.next += int64(len(r.books[i].commands))
	}
	return errors.Join(err, r.Tally().Err(), r.unaccepted())
}

func (r *Run) leave() error {
	r.watching.Wait()
	failures := make(chan error, len(r.sockets))
	for _, s := range r.sockets {
		go func() { failures <- s.leave() }()
	}
	var err error
	for range r.sockets {
		if failed := <-failures; failed != nil && err == nil {
			err = fmt.Errorf("log a client out: %w", failed)
		}
	}
	return err
}

// take reserves a POST's worth of commands; false when there are no more to offer.
func (r *Run) take() bool {
	select {
	case <-r.stopped:
		return false
	case <-r.broken:
		return false
	default:
	}
	if r.issued.Add(int64(r.plan.Batch)) > int64(r.plan.Limit) {
		r.overOnce.Do(func() { close(r.over) })
		return false
	}
	return true
}

// hand is what one worker posts with.
type hand struct {
	book    *book
	poster  poster
	body    []byte
	devices []string
	next    int
}

// newHand makes the nth worker's hand. Workers take turns at the clients, and begin at devices of their own.
func (r *Run) newHand(n int) *hand {
	client := n % len(r.plan.Clients)
	return &hand{
		book: r.books[client], poster: poster{address: r.plan.API, token: r.plan.Clients[client].Token},
		devices: r.plan.Devices, next: n * len(r.plan.Devices) / r.plan.Workers,
	}
}

// post offers one POST's commands, and notes what became of them. Of those that were not accepted, it returns true.
func (r *Run) post(ctx context.Context, h *hand, due time.Duration, waiter chan<- struct{}) (turnedAway bool) {
	sent := r.now()
	first := h.book.enter(r.plan.Batch, due, sent, waiter)
	h.body = appendBody(h.body[:0], first, r.plan.Batch, r.plan.Method, r.plan.Size)
	device := h.devices[h.next%len(h.devices)]
	h.next++
	status, answer, err := h.poster.post(ctx, "/v1/devices/"+device+"/commands", h.body)
	now := r.now()
	if err == nil && status == http.StatusAccepted && r.plan.Batch == 1 {
		h.book.answer(first, accepted, now)
		if r.plan.AnswerIsEnd {
			h.book.settle(first, first, "", false, now)
		}
		return false
	}
	fates := judge(status, answer, err, r.plan.Batch)
	for i, f := range fates {
		h.book.answer(first+int64(i), f, now)
		if r.plan.AnswerIsEnd && f == accepted {
			h.book.settle(first+int64(i), first+int64(i), "", false, now)
		}
		turnedAway = turnedAway || f != accepted
	}
	if turnedAway {
		r.note(status, answer, err)
	}
	return turnedAway
}

func (r *Run) note(status int, answer []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems[status]++
	if r.said == "" {
		r.said = fmt.Sprintf("%d %.300s", status, answer)
		if err != nil {
			r.said = err.Error()
		}
	}
}

// unaccepted is an error when commands were turned away: a figure of a platform that refuses is none.
func (r *Run) unaccepted() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said == "" {
		return nil
	}
	return fmt.Errorf("commands were not accepted, by status %v; the first answer: %s", r.problems, r.said)
}

// Tally sums the run up, once it was stopped.
func (r *Run) Tally() Tally {
	var t Tally
	for _, b := range r.books {
		t.add(b)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Problems = maps.Clone(r.problems)
	return t
}

// Latencies are those of the commands that were due within the window, once the run was stopped.
func (r *Run) Latencies(from, to time.Time) Latencies {
	var l Latencies
	for _, b := range r.books {
		l.add(b, from.Sub(r.epoch), to.Sub(r.epoch))
	}
	return l
}

// Posted returns when the plan's limit has been posted, and answered; its outcomes may be open.
func (r *Run) Posted(ctx context.Context) error {
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		r.workers.Wait()
	}()
	select {
	case <-posted:
		return r.unaccepted()
	case <-ctx.Done():
		r.stopOnce.Do(func() { close(r.stopped) })
		<-posted
		return fmt.Errorf("post a backlog: %d commands are posted: %w", r.issued.Load(), context.Cause(ctx))
	}
}

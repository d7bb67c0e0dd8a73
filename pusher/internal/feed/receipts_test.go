package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/pusher/internal/session"
)

var errAway = errors.New("database away")

// book is a database in which acks are noted.
type book struct {
	writes chan []Mark // each attempt
	answer chan error  // what each attempt gets

	mu        sync.Mutex
	forgotten int
}

func (b *book) write(ctx context.Context, marks []Mark) error {
	b.writes <- marks
	select {
	case err := <-b.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *book) lost() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.forgotten
}

func newReceipts(t *testing.T, tweak func(*ReceiptsConfig)) (*Receipts, *book) {
	t.Helper()
	b := &book{writes: make(chan []Mark, 100), answer: make(chan error, 100)}
	cfg := ReceiptsConfig{
		Name: "book", Write: b.write, Timeout: time.Minute, Retry: 10 * time.Millisecond, Backlog: 100,
		Forgotten: func(n int) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.forgotten += n
		},
		Log: zap.NewNop(),
	}
	if tweak != nil {
		tweak(&cfg)
	}
	r := NewReceipts(cfg)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r, b
}

func stop(t *testing.T, r *Receipts) {
	t.Helper()
	if err := r.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// ticket is a delivery that tells when it is acked.
type ticket chan struct{}

func newTicket() ticket { return make(ticket, 1) }

func (k ticket) Ack() { k <- struct{}{} }

func (k ticket) acked(t *testing.T) {
	t.Helper()
	select {
	case <-k:
	case <-time.After(30 * time.Second):
		t.Fatal("not acked")
	}
}

func (k ticket) open(t *testing.T) {
	t.Helper()
	select {
	case <-k:
		t.Fatal("acked before its time")
	default:
	}
}

func note(n byte, k acker) receipt {
	return receipt{Mark: Mark{Tenant: "t", Client: "c", ID: uuid.UUID{n}}, delivery: k}
}

func TestDeliveryIsAckedAfterItsNote(t *testing.T) {
	t.Parallel()
	r, b := newReceipts(t, nil)
	defer stop(t, r)
	first, second, third := newTicket(), newTicket(), newTicket()
	r.add(note(1, first))
	if marks := <-b.writes; len(marks) != 1 || marks[0] != (Mark{Tenant: "t", Client: "c", ID: uuid.UUID{1}}) {
		t.Fatalf("wrote %v", marks)
	}
	// While one batch is written the next one forms.
	r.add(note(2, second))
	r.add(note(3, third))
	first.open(t)
	b.answer <- nil
	first.acked(t)
	if marks := <-b.writes; len(marks) != 2 {
		t.Fatalf("wrote %v", marks)
	}
	second.open(t)
	b.answer <- nil
	second.acked(t)
	third.acked(t)
}

// The client has the outcome; that the database is away must not fill the prefetch.
func TestDeliveriesDoNotWaitForADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	r, b := newReceipts(t, func(c *ReceiptsConfig) { c.Retry = time.Hour })
	first, second := newTicket(), newTicket()
	r.add(note(1, first))
	<-b.writes
	b.answer <- errAway
	first.acked(t)
	r.add(note(2, second))
	second.acked(t)
	// At the end both notes are tried once more.
	b.answer <- nil
	stop(t, r)
	if marks := <-b.writes; len(marks) != 2 || b.lost() != 0 {
		t.Fatalf("wrote %v, lost %d", marks, b.lost())
	}
}

func TestNotesAreWrittenWhenTheDatabaseIsBack(t *testing.T) {
	t.Parallel()
	r, b := newReceipts(t, nil)
	defer stop(t, r)
	r.add(note(1, newTicket()))
	for range 3 {
		if marks := <-b.writes; len(marks) != 1 {
			t.Fatalf("wrote %v", marks)
		}
		b.answer <- errAway
	}
	<-b.writes
	b.answer <- nil
	k := newTicket()
	r.add(note(2, k))
	if marks := <-b.writes; len(marks) != 1 || marks[0].ID != (uuid.UUID{2}) {
		t.Fatalf("wrote %v", marks)
	}
	b.answer <- nil
	k.acked(t)
}

func TestBacklogIsBounded(t *testing.T) {
	t.Parallel()
	r, b := newReceipts(t, func(c *ReceiptsConfig) { c.Retry, c.Backlog = time.Hour, 3 })
	r.add(note(0, newTicket()))
	<-b.writes
	b.answer <- errAway
	for n := range byte(5) {
		k := newTicket()
		r.add(note(n+1, k))
		k.acked(t)
	}
	b.answer <- nil
	stop(t, r)
	if marks := <-b.writes; len(marks) != 3 || marks[0].ID != (uuid.UUID{3}) || b.lost() != 3 {
		t.Fatalf("wrote %v, lost %d; the oldest are to be forgotten", marks, b.lost())
	}
}

func TestRefusedNoteIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	r, b := newReceipts(t, nil)
	k := newTicket()
	r.add(note(1, k))
	<-b.writes
	b.answer <- fmt.Errorf("%w: bad row", ErrRefused)
	k.acked(t)
	stop(t, r)
	if len(b.writes) != 0 || b.lost() != 1 {
		t.Fatalf("%d more attempts, lost %d", len(b.writes), b.lost())
	}
}

func TestStopWithoutDatabase(t *testing.T) {
	t.Parallel()
	r, b := newReceipts(t, nil)
	b.answer <- errAway
	var tickets []ticket
	for n := range 2 * writeRun {
		k := newTicket()
		tickets = append(tickets, k)
		r.mu.Lock() // all at once, unseen
		r.waiting = append(r.waiting, note(byte(n), k))
		r.mu.Unlock()
	}
	stop(t, r)
	for _, k := range tickets {
		k.acked(t)
	}
}

type counting struct{ inFlight, refused int }

func (c *counting) Refused(session.Cause) { c.refused++ }
func (c *counting) InFlight(change int)   { c.inFlight += change }

// What is not settled stays in order; past half of the prefetch the old leave, the young stay.
func TestCrowded(t *testing.T) {
	t.Parallel()
	o := &counting{}
	f := &Feed{cfg: Config{Prefetch: 8, CrowdedAfter: time.Minute, Observer: o, Log: zap.NewNop()}}
	f.root.prev, f.root.next = &f.root, &f.root
	if f.Fire(time.Now()).IsZero() {
		t.Fatal("it does not look again")
	}
	var items []*delivery
	for range 10 {
		d := &delivery{Delivery: &broker.Delivery{}, feed: f}
		f.add(d, session.NewLive(d))
		items = append(items, d)
	}
	f.Fire(time.Now())
	if f.count != 10 {
		t.Fatalf("%d in flight: what is young was sent away", f.count)
	}
	f.Fire(time.Now().Add(time.Hour))
	if f.count != 4 || o.inFlight != 4 || o.refused != 6 {
		t.Fatalf("%d in flight (%d told), %d refused", f.count, o.inFlight, o.refused)
	}
	if f.root.next != items[6] {
		t.Fatal("not the oldest went")
	}
	items[7].Settle(nil, session.Verdict{Kind: session.Covered})
	items[7].Settle(nil, session.Verdict{Kind: session.Covered}) // whatever comes twice counts once
	if f.count != 3 || o.inFlight != 3 {
		t.Fatalf("%d in flight", f.count)
	}
}

func TestAwaitHoldsUntilAClientsAcksAreNoted(t *testing.T) {
	t.Parallel()
	r, b := newReceipts(t, nil)
	defer stop(t, r)
	for n := range byte(3) {
		r.add(note(n, nil))
	}
	if err := r.Await(t.Context(), "t", "c", 3); err != nil {
		t.Errorf("three are not more than three: %v", err)
	}
	if err := r.Await(t.Context(), "t", "another", 0); err != nil {
		t.Errorf("another client has none: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.Await(short, "t", "c", 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with three to be noted: %v", err)
	}
	all := make(chan error, 1)
	go func() { all <- r.Await(t.Context(), "t", "c", 0) }()
	for range 10 { // attempts; the first ones fail, and what they had stays to be noted
		b.answer <- errAway
	}
	for range 10 {
		b.answer <- nil
	}
	select {
	case err := <-all:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("all are noted, and it still waits")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.unnoted) != 0 {
		t.Errorf("it still counts %v", r.unnoted)
	}
}

func TestWhatTheBacklogForgetsIsNotAwaited(t *testing.T) {
	t.Parallel()
	r, b := newReceipts(t, func(cfg *ReceiptsConfig) { cfg.Backlog = 2; cfg.Retry = time.Hour })
	for range 3 {
		b.answer <- errAway
	}
	for n := range byte(10) {
		r.add(note(n, nil))
	}
	if err := r.Await(t.Context(), "t", "c", 2); err != nil {
		t.Errorf("eight of ten are forgotten: %v", err)
	}
	b.answer <- nil
	stop(t, r)
}

package ledger

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store"
)

type kind uint8

const (
	claiming kind = iota
	reclaiming
	deciding
	delivering
)

// An operation is waiting until a batch takes it or its caller abandons it, whichever is first.
const (
	waiting int32 = iota
	taken
	abandoned
)

// operation is one caller's write. The caller fills it, the batch answers into it before done is signalled.
type operation struct {
	kind     kind
	claim    Claim         // claiming
	decision Decision      // deciding
	mark     DeliveredMark // delivering
	// reclaiming
	key        Key
	commandID  uuid.UUID
	old, fresh uuid.UUID

	state atomic.Int32
	// done has room for every operation that shares it.
	done chan *operation

	// The answer. hit: the write itself found its row; else row is what stands in its place.
	hit   bool
	found bool
	row   Row
	err   error
}

func (o *operation) rowKey() *Key {
	switch o.kind {
	case claiming:
		return &o.claim.Key
	case deciding:
		return &o.decision.Key
	default:
		return &o.key
	}
}

// check refuses what the driver could not even write down, which would fail the whole batch.
func (o *operation) check() error {
	if o.kind == delivering {
		return nil
	}
	if n := o.rowKey().Redrive; n < 0 || n > math.MaxInt32 {
		return fmt.Errorf("redrive %d: %w", n, store.ErrRefused)
	}
	if o.kind == claiming && o.claim.Token == uuid.Nil {
		return fmt.Errorf("a claim without token: %w", store.ErrRefused) // it would match every row that was never started
	}
	if o.kind == deciding && o.decision.Outcome == nil {
		return fmt.Errorf("a decision without outcome: %w", store.ErrRefused)
	}
	return nil
}

func (o *operation) queue(b *pgx.Batch) {
	switch o.kind {
	case claiming:
		o.claim.queue(b)
	case deciding:
		o.decision.queue(b)
	case delivering:
		o.mark.queue(b)
	case reclaiming:
		k := &o.key
		b.Queue(reclaimSQL, k.Tenant, k.Client, k.ID, k.Redrive, [16]byte(o.commandID), [16]byte(o.old), [16]byte(o.fresh))
	}
}

// read takes the write's own answer.
func (o *operation) read(results pgx.BatchResults) error {
	o.hit, o.found = false, false
	var err error
	switch o.kind {
	case claiming:
		o.row = Row{Claim: o.claim}
		err = results.QueryRow().Scan((*zeronull.Timestamptz)(&o.row.Started))
		o.row.Started = o.row.Started.UTC()
	case delivering:
		_, err = results.Exec()
	default:
		o.row, err = scan(results.QueryRow())
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	o.hit, o.found = err == nil, err == nil
	return err
}

// readStanding takes the row that stands where the write found none of its own.
func (o *operation) readStanding(results pgx.BatchResults) error {
	row, err := scan(results.QueryRow())
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	o.row, o.found = row, err == nil
	return err
}

// order puts a batch into the one order in which all batches lock rows. Operations on the same row
// keep the order in which they came.
func order(ops []*operation) {
	slices.SortStableFunc(ops, func(a, b *operation) int {
		if da, db := a.kind == delivering, b.kind == delivering; da || db {
			switch {
			case !da:
				return -1
			case !db:
				return 1
			}
			return bytes.Compare(a.mark.CommandID[:], b.mark.CommandID[:])
		}
		ka, kb := a.rowKey(), b.rowKey()
		return cmp.Or(cmp.Compare(ka.Tenant, kb.Tenant), cmp.Compare(ka.Client, kb.Client),
			bytes.Compare(ka.ID, kb.ID), cmp.Compare(ka.Redrive, kb.Redrive))
	})
}

// Package claims is the dispatcher's ledger on Postgres: dispatch.Ledger on store/ledger.
package claims

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/ledger"
)

// Writer is what is needed of a ledger.Writer.
type Writer interface {
	Claim(ctx context.Context, claim ledger.Claim) (ledger.Claimed, error)
	Reclaim(ctx context.Context, key ledger.Key, commandID, old, new uuid.UUID) (ledger.Row, bool, error)
	Decide(ctx context.Context, d ledger.Decision) (ledger.Row, bool, error)
}

// Trail is what is needed of an audit.Trail.
type Trail interface {
	Append(ctx context.Context, entries ...audit.Entry) error
}

// Ledger is a dispatch.Ledger.
type Ledger struct {
	writer Writer
	trail  Trail
}

// New makes a ledger. Answers that come too late go to the trail.
func New(writer Writer, trail Trail) *Ledger { return &Ledger{writer: writer, trail: trail} }

// Claim is dispatch.Ledger's.
func (l *Ledger) Claim(ctx context.Context, c *dispatch.Command, token uuid.UUID) (dispatch.Row, error) {
	claimed, err := l.writer.Claim(ctx, Of(c, token))
	return rowOf(&claimed.Row), refusal(err)
}

// Reclaim is dispatch.Ledger's.
func (l *Ledger) Reclaim(ctx context.Context, c *dispatch.Command, old, token uuid.UUID) (dispatch.Row, error) {
	row, ok, err := l.writer.Reclaim(ctx, Key(c), c.ID, old, token)
	if err != nil {
		return dispatch.Row{}, refusal(err)
	}
	if !ok && row.CommandID == uuid.Nil {
		// The row is gone: only a database that forgot it explains that. Start anew.
		return l.Claim(ctx, c, token)
	}
	return rowOf(&row), nil
}

// Decide is dispatch.Ledger's.
func (l *Ledger) Decide(ctx context.Context, c *dispatch.Command, token uuid.UUID, body []byte) (dispatch.Row, error) {
	d := ledger.Decision{
		Key: Key(c), CommandID: c.ID, Outcome: body, Origin: envelope.OriginDevice, Delivered: c.OneWay(),
	}
	row, won, err := l.writer.Decide(ctx, d)
	if errors.Is(err, ledger.ErrNoRow) {
		// A database that lost the claim in a failover (DESIGN, section 7): the answer is
		// worth more than the order of things.
		if _, err := l.writer.Claim(ctx, Of(c, token)); err != nil {
			return dispatch.Row{}, refusal(err)
		}
		row, won, err = l.writer.Decide(ctx, d)
	}
	if err != nil {
		return dispatch.Row{}, refusal(err)
	}
	if !won && (row.Origin != envelope.OriginDevice || !bytes.Equal(row.Outcome, body)) {
		if err := l.trail.Append(ctx, lateAnswer(c, &row)); err != nil {
			return dispatch.Row{}, err
		}
	}
	return rowOf(&row), nil
}

func lateAnswer(c *dispatch.Command, row *ledger.Row) audit.Entry {
	return audit.Entry{
		Tenant: c.Tenant, Stage: audit.StageDispatch, Action: "late_answer", Reason: row.Reason,
		Client: c.Client, ID: []byte(c.Request.ID.Key), CommandID: c.ID,
		Device: c.Device, Method: c.Request.Method, Lane: c.Lane,
		Detail: "the device answered after the command was decided",
	}
}

// refusal marks what the database will never take.
func refusal(err error) error {
	if errors.Is(err, store.ErrRefused) {
		return fmt.Errorf("%w: %w", dispatch.ErrUnrecordable, err)
	}
	return err
}

// Key of a command's row.
func Key(c *dispatch.Command) ledger.Key {
	id := []byte(c.Request.ID.Key)
	if c.OneWay() {
		id = ledger.OneWayID(c.ID)
	}
	return ledger.Key{Tenant: c.Tenant, Client: c.Client, ID: id, Redrive: c.Redrive}
}

// Of is the claim of a command under a token; uuid.Nil for one that is not started.
func Of(c *dispatch.Command, token uuid.UUID) ledger.Claim {
	return ledger.Claim{
		Key: Key(c), RawID: c.Request.ID.Raw, CommandID: c.ID, Token: token, Digest: c.Digest,
		Device: c.Device, DeviceType: c.DeviceType, Method: c.Request.Method, Lane: c.Lane,
		Timeout: c.Timeout, Idempotent: c.Idempotent, OneWay: c.OneWay(),
		Accepted: c.Accepted, Deadline: c.Deadline,
	}
}

func rowOf(row *ledger.Row) dispatch.Row {
	return dispatch.Row{
		CommandID: row.CommandID, Digest: row.Digest, Token: row.Token,
		Started: row.Started, Timeout: row.Timeout, Decided: Decided(row),
	}
}

// Decided is what a row says of the command's end; nil while it is open.
func Decided(row *ledger.Row) *dispatch.Decided {
	if row.Open() {
		return nil
	}
	return &dispatch.Decided{
		At: row.Decided, Origin: row.Origin, Reason: outcome.Reason(row.Reason), Body: row.Outcome,
	}
}

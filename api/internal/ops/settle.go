package ops

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/store/ledger"
)

// MinOverdue is how long a command's worker has to count as lost before an operator may settle it.
const MinOverdue = time.Minute

// settleWait is how long an operator waits for the recorder's decision.
const settleWait = 3 * time.Second

// Settler ends commands that were started, and that nobody will ever decide.
type Settler struct {
	ledger    *ledger.Reader
	claims    *ledger.Settlements
	publisher Publisher
	clock     intake.Clock
}

// NewSettler makes one.
func NewSettler(reader *ledger.Reader, claims *ledger.Settlements, publisher Publisher, clock intake.Clock) *Settler {
	return &Settler{ledger: reader, claims: claims, publisher: publisher, clock: clock}
}

// Settle gives an open row to the recorder, which decides it as worker_lost and tells its client. It returns the row as
// it stands after a moment, decided or not yet. Its error is a *problem.Problem, or the store's.
func (s *Settler) Settle(ctx context.Context, tenant string, commandID uuid.UUID, actor, reason string) (ledger.Row, error) {
	row, err := s.ledger.ByCommand(ctx, tenant, commandID)
	switch {
	case errors.Is(err, ledger.ErrNoRow):
		return row, problem.New(problem.UnknownCommand, "")
	case err != nil:
		return row, err
	case !row.Open():
		return row, problem.New(problem.CommandState, "it is decided since %s", row.Decided.Format(time.RFC3339))
	case s.clock.Now().Sub(row.LostAt()) < MinOverdue:
		return row, problem.New(problem.CommandState, "its worker may be alive, or the recorder may settle it, until %s", row.LostAt().Add(MinOverdue).Format(time.RFC3339))
	}
	if err := s.claims.Claim(ctx, &row, actor, reason); errors.Is(err, ledger.ErrClaimed) {
		return row, problem.New(problem.CommandState, "%s", ledger.ErrClaimed.Error())
	} else if err != nil {
		return row, err
	}
	if err := s.publish(ctx, &row); err != nil {
		var failed *intake.PublishError
		if errors.As(err, &failed) && failed.Fate != intake.InDoubt {
			return row, problem.From(failed.Fate.Code(), err)
		}
		return row, nil // the recorder may have it
	}
	return s.await(ctx, row)
}

// publish sends the recorder what the ledger knows of the command.
func (s *Settler) publish(ctx context.Context, r *ledger.Row) error {
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	request := map[string]any{"jsonrpc": "2.0", "method": r.Method}
	if !r.OneWay {
		request["id"] = json.RawMessage(r.RawID)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	c := envelope.Command{
		Lane: r.Lane, Tenant: r.Tenant, Device: r.Device, Client: r.Client, ID: r.CommandID, Redrive: r.Redrive,
		DeviceType: r.DeviceType, Driver: "none", Idempotent: r.Idempotent, Timeout: r.Timeout,
		Accepted: r.Accepted, Deadline: r.Deadline, Body: body,
	}
	if r.Redrive > 0 {
		c.RedriveOf = r.CommandID // which one it was is not in the ledger; an envelope has to name one, and nothing is kept of it
	}
	return s.publisher.Publish(ctx, envelope.Bury(c.Message(s.clock.Now()), envelope.Verdict{Reason: outcome.WorkerLost, Bodyless: true}))
}

// await looks for the decision for a moment.
func (s *Settler) await(ctx context.Context, row ledger.Row) (ledger.Row, error) {
	over := time.NewTimer(settleWait)
	defer over.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-over.C:
			return row, nil
		case <-ctx.Done():
			return row, nil
		}
		if now, err := s.ledger.ByCommand(ctx, row.Tenant, row.CommandID); err == nil && !now.Open() {
			return now, nil
		}
	}
}

package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/ledger"
)

// beforeSQL takes back what migration 005 did for reach: its indexes and counts, and puts 002's indexes in their place.
const beforeSQL = `drop trigger dead_letters_new on dead_letters; drop trigger dead_letters_changed on dead_letters;
	drop index dead_letters_facet; drop index dead_letters_device; drop index dead_letters_client; drop index dead_letters_id;
	create index on dead_letters (tenant, state, died_at, letter_id); create index on dead_letters (tenant, reason, died_at, letter_id);
	create index on dead_letters (tenant, device, died_at, letter_id); create index on dead_letters (tenant, method, died_at, letter_id);
	create index on dead_letters (tenant, client, died_at, letter_id); create index on dead_letters (tenant, group_id, died_at, letter_id)`

// Settling compares what the recorder settles a second with and without what reach costs: the same letters, into two
// databases, by turns.
type Settling struct {
	// Rounds of each, Length of one, Workers that settle at once.
	Rounds  int
	Length  time.Duration
	Workers int
	Out     io.Writer
}

// Measure takes two databases that are migrated and empty.
func (m *Settling) Measure(ctx context.Context, now, before *postgres.Pool) error {
	if _, err := before.Exec(ctx, beforeSQL); err != nil {
		return fmt.Errorf("take reach back: %w", err)
	}
	var pairs []pair
	for range m.Rounds {
		a, err := m.round(ctx, now)
		if err != nil {
			return err
		}
		b, err := m.round(ctx, before)
		if err != nil {
			return err
		}
		pairs = append(pairs, pair{with: a, without: b})
	}
	return table(m.Out, "with what reach costs, and without reach", pairs)
}

// round settles for a while, and returns how many letters a second.
func (m *Settling) round(ctx context.Context, pool *postgres.Pool) (float64, error) {
	s := deadletter.New(pool)
	began := time.Now()
	var settled atomic.Int64
	var workers sync.WaitGroup
	failed := make(chan error, m.Workers)
	for w := range m.Workers {
		workers.Go(func() {
			for i := 0; time.Since(began) < m.Length; i++ {
				if err := settle(ctx, s, w, i); err != nil {
					failed <- err
					return
				}
				settled.Add(1)
			}
		})
	}
	workers.Wait()
	close(failed)
	var err error
	for one := range failed {
		err = errors.Join(err, one)
	}
	return float64(settled.Load()) / time.Since(began).Seconds(), err
}

// settle writes a letter, its line of the audit trail and its decided row of the ledger, as the recorder does.
func settle(ctx context.Context, s *deadletter.Store, worker, i int) error {
	id := uuid.New()
	key := ledger.Key{Tenant: Tenant, Client: fmt.Sprint("client-", i%500), ID: []byte("s:" + id.String())}
	at := time.Now()
	claim := ledger.Claim{
		Key: key, RawID: []byte(`"` + id.String() + `"`), CommandID: id, Device: fmt.Sprint("device-", (worker*7919+i)%20000), DeviceType: "lamp",
		Method: "relay.set", Lane: "default", Timeout: time.Second, Accepted: at, Deadline: at,
	}
	letter := deadletter.Letter{
		Tenant: Tenant, CommandID: id, Client: claim.Client, Device: claim.Device, DeviceType: "lamp", Method: "relay.set", Lane: "default",
		ID: claim.RawID, Reason: "device_offline", Executed: "no", Detail: fmt.Sprintf("attempt %d failed", i),
		Payload:    []byte(`{"jsonrpc":"2.0","id":"` + id.String() + `","method":"relay.set","params":{"on":true}}`),
		Properties: []byte(`{"content_type":"application/json"}`), Headers: []byte(`{"cupline-client":"web"}`), Deaths: []byte("[]"),
	}
	_, err := s.Settle(ctx, key, func(*ledger.Row) deadletter.Resolution {
		return deadletter.Resolution{
			Letter: &letter, Claim: claim,
			Audit:  []audit.Entry{{Tenant: Tenant, Stage: audit.StageRecord, Action: "dead_letter", Client: claim.Client, CommandID: id, Device: claim.Device}},
			Decide: &ledger.Decision{CommandID: id, Outcome: []byte(`{"jsonrpc":"2.0"}`), Origin: "platform", Reason: letter.Reason},
		}
	})
	return err
}

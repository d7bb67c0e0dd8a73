package janitor

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/ledger"
	"github.com/cupline/cupline/store/retention"
)

// Retain ends every tenant's retention once: in batches, with rests in between.
func (j *Janitor) Retain(ctx context.Context) error {
	terms, err := j.terms.All(ctx)
	if err != nil {
		return err
	}
	lanes, err := j.cfg.Lanes(ctx)
	if err != nil {
		return err
	}
	now := j.cfg.Now()
	if err := j.forgetLedger(ctx, now, retention.Floor(lanes), terms); err != nil {
		return err
	}
	if err := j.batches(ctx, "acked_outcomes", func(ctx context.Context) (int64, error) {
		return j.mailbox.ForgetAcked(ctx, now.Add(-j.cfg.Acked), j.cfg.Batch)
	}); err != nil {
		return err
	}
	tenants := make([]string, 0, len(terms))
	for tenant := range terms {
		tenants = append(tenants, tenant)
	}
	slices.Sort(tenants)
	for _, tenant := range tenants {
		if err := j.retain(ctx, tenant, terms[tenant], now); err != nil {
			return err
		}
	}
	platform := terms[topology.SystemTenant]
	if err := j.batches(ctx, "drains", func(ctx context.Context) (int64, error) {
		return j.drains.Forget(ctx, now.Add(-platform.Audit), j.cfg.Batch)
	}); err != nil {
		return err
	}
	return j.batches(ctx, "counts", func(ctx context.Context) (int64, error) { return j.letters.Tidy(ctx, j.cfg.Batch) })
}

func (j *Janitor) retain(ctx context.Context, tenant string, terms retention.Terms, now time.Time) error {
	for _, kind := range []struct {
		what string
		step func(ctx context.Context) (int64, error)
	}{
		{"letters", func(ctx context.Context) (int64, error) {
			return j.letters.Forget(ctx, tenant, now.Add(-terms.Letters), j.cfg.Batch)
		}},
		{"job_items", func(ctx context.Context) (int64, error) {
			return j.letters.ForgetJobs(ctx, tenant, now.Add(-terms.Letters), j.cfg.Batch)
		}},
		{"settlements", func(ctx context.Context) (int64, error) {
			return j.letters.ForgetSettlements(ctx, tenant, now.Add(-settlementsKept), j.cfg.Batch)
		}},
		{"erasures", func(ctx context.Context) (int64, error) {
			return j.erasures.Forget(ctx, tenant, now.Add(-terms.Audit), j.cfg.Batch)
		}},
		{"audit", func(ctx context.Context) (int64, error) {
			return j.trail.Forget(ctx, tenant, now.Add(-terms.Audit), j.cfg.Batch)
		}},
		{"outcomes", func(ctx context.Context) (int64, error) {
			expired, err := j.mailbox.Expire(ctx, tenant, now.Add(-terms.Mailbox), j.cfg.Batch)
			if expired > 0 {
				j.cfg.Metrics.expired.Add(float64(expired))
				j.cfg.Log.Warn("outcomes that nobody fetched were deleted", zap.String("tenant", tenant), zap.Int64("outcomes", expired))
			}
			return expired, err
		}},
	} {
		if err := j.batches(ctx, kind.what, kind.step); err != nil {
			return err
		}
	}
	return j.tidyFacets(ctx, tenant)
}

const (
	// settlementsKept is for how long it is known beside the audit trail who settled a command; two at once need it for seconds.
	settlementsKept = 24 * time.Hour
	// facetsAtOnce is how many groups are looked at while no letter can be written: some milliseconds.
	facetsAtOnce = 20
)

// tidyFacets goes through a tenant's facets once, with a rest after each step. Writers that are too busy have it tried in the
// next round.
func (j *Janitor) tidyFacets(ctx context.Context, tenant string) error {
	for after := uuid.Nil; ; {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, stepLimit)
		gone, next, err := j.letters.TidyFacets(limited, tenant, after, facetsAtOnce)
		cancel()
		j.cfg.Metrics.removed.WithLabelValues("facets").Add(float64(gone))
		switch {
		case errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil:
			j.cfg.Log.Info("facets of dead letters wait to be tidied", zap.String("tenant", tenant), zap.Error(err))
			return nil
		case err != nil || next == uuid.Nil:
			return err
		}
		if after = next; !pause(ctx, rest*time.Since(began)) {
			return context.Cause(ctx)
		}
	}
}

// forgetLedger goes through the ledger once, in the order of age. What a lane may still give out again stays, whatever
// the terms say.
func (j *Janitor) forgetLedger(ctx context.Context, now time.Time, floor time.Duration, terms map[string]retention.Terms) error {
	before := ledger.Before{Tenants: map[string]time.Time{}, Otherwise: now.Add(-max(retention.Default().Ledger, floor))}
	for tenant, t := range terms {
		before.Tenants[tenant] = now.Add(-max(t.Ledger, floor))
	}
	var from time.Time
	for {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, stepLimit)
		gone, next, err := j.ledger.Forget(limited, from, before, j.cfg.Batch)
		cancel()
		j.cfg.Metrics.removed.WithLabelValues("commands").Add(float64(gone))
		if err != nil || next.IsZero() {
			return err
		}
		if from = next; !pause(ctx, rest*time.Since(began)) {
			return context.Cause(ctx)
		}
	}
}

package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/bench/internal/measure"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/deadletter"
)

// ErrSlow says that a question took longer than it is held to.
var ErrSlow = errors.New("a question's 95th percentile is above the limit")

// Reach of a measurement.
type Reach struct {
	Letters int
	// Asks is how often each question is asked.
	Asks int
	// Limit that each question's 95th percentile is held to: of the processor's time that the database took for it, where that can be
	// known, so that whatever else a machine does is no matter; else of the time until the answer.
	Limit time.Duration
	// Out gets the figures, Progress a line now and then.
	Out, Progress io.Writer
}

// answered is one question's figures.
type answered struct {
	question
	p50, p95, worst time.Duration
	// busy is the 95th percentile of the database's own time; negative where it is not known.
	busy time.Duration
}

// Measure fills the database, as owner, and asks as api does: asking logs in as a member of cupline_api and gives its connections
// a tenant. It returns ErrSlow when a question was too slow; the figures are written all the same.
func (m *Reach) Measure(ctx context.Context, owner, asking *postgres.Pool) error {
	say := func(format string, values ...any) { fmt.Fprintf(m.Progress, format+"\n", values...) }
	if err := Fill(ctx, owner, m.Letters, say); err != nil {
		return err
	}
	ctx = store.ForTenant(ctx, Tenant)
	a := &asker{store: deadletter.New(asking)}
	if err := a.meet(ctx, asking); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(7, 7))
	var all []answered
	for _, q := range a.all() {
		one, err := m.ask(ctx, asking, q, r)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		all = append(all, one)
	}
	answers, took, err := a.search(ctx)
	if err != nil {
		return fmt.Errorf("search for a text: %w", err)
	}
	return errors.Join(m.write(all), m.tell("\na text that stands nowhere, to the end: %d answers, %.1f s\n", answers, took.Seconds()), m.judge(all))
}

// meet learns some letters that there are.
func (a *asker) meet(ctx context.Context, pool *postgres.Pool) error {
	rows, err := pool.Query(ctx, `select letter_id from dead_letters where tenant = $1 order by md5(letter_id::text) limit 300`, Tenant)
	if err != nil {
		return fmt.Errorf("meet letters: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
	if err != nil {
		return fmt.Errorf("meet letters: %w", err)
	}
	for _, id := range ids {
		l, err := a.store.Get(ctx, Tenant, id)
		if err != nil {
			return fmt.Errorf("meet letters: %w", err)
		}
		a.known = append(a.known, l)
	}
	slices.SortFunc(a.known, func(a, b deadletter.Letter) int { return cmp.Compare(a.LetterID.String(), b.LetterID.String()) })
	return nil
}

func (m *Reach) ask(ctx context.Context, asking *postgres.Pool, q question, r *rand.Rand) (answered, error) {
	took, busy := make([]time.Duration, 0, m.Asks), make([]time.Duration, 0, m.Asks)
	for range m.Asks {
		before, known := worked(ctx, asking)
		began := time.Now()
		if err := q.ask(ctx, r); err != nil {
			return answered{}, err
		}
		took = append(took, time.Since(began))
		if after, still := worked(ctx, asking); known && still && after.process == before.process {
			busy = append(busy, after.time-before.time)
		}
	}
	slices.Sort(took)
	slices.Sort(busy)
	all := answered{q, measure.Percentile(took, 50), measure.Percentile(took, 95), took[len(took)-1], -1}
	if len(busy) == len(took) {
		all.busy = measure.Percentile(busy, 95)
	}
	return all, nil
}

func (m *Reach) write(all []answered) error {
	t := tabwriter.NewWriter(m.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "ms:\tp50\tp95\tmost\tbusy p95\t\n")
	for _, one := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", one.name, ms(one.p50), ms(one.p95), ms(one.worst), ms(one.busy))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

func (m *Reach) tell(format string, values ...any) error {
	if _, err := fmt.Fprintf(m.Out, format, values...); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

func (m *Reach) judge(all []answered) (err error) {
	for _, one := range all {
		took := one.busy
		if took < 0 {
			took = one.p95
		}
		if took > m.Limit {
			err = errors.Join(err, fmt.Errorf("%w: %s: %s ms", ErrSlow, one.name, ms(took)))
		}
	}
	return err
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1000) }

// settleDown adds up the counts, and does what autovacuum does in its own time.
func settleDown(ctx context.Context, pool *postgres.Pool) error {
	s := deadletter.New(pool)
	for {
		moved, err := s.AddUp(ctx, batch)
		if err != nil {
			return err
		}
		if moved < batch {
			break
		}
	}
	for _, table := range []string{"dead_letters", "dead_letter_counts", "dead_letter_facets", "dead_letter_changes"} {
		if _, err := pool.Exec(ctx, "vacuum analyze "+table); err != nil {
			return fmt.Errorf("vacuum %s: %w", table, err)
		}
	}
	return nil
}

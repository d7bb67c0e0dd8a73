package app

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/ledger"
	"github.com/cupline/cupline/store/tables"
)

const (
	// figuresLimit bounds one look.
	figuresLimit = 10 * time.Second
	// overdueFor is how long past its timeout an open command is counted: DESIGN, section 7.
	overdueFor = time.Hour
)

// figures are what only the database can tell of what is kept. Every recorder shows the
// same: take the largest, not the sum.
type figures struct {
	pool    *postgres.Pool
	letters *deadletter.Store
	ledger  *ledger.Reader

	overdue  *prometheus.GaugeVec
	open     *prometheus.GaugeVec
	oldest   *prometheus.GaugeVec
	rows     *prometheus.GaugeVec
	bytes    *prometheus.GaugeVec
	inserted *prometheus.GaugeVec
}

func newFigures(pool *postgres.Pool, registerer prometheus.Registerer) (*figures, error) {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	f := &figures{
		pool: pool, letters: deadletter.New(pool), ledger: ledger.NewReader(pool),
		overdue: gauge("cupline_commands_overdue",
			"Commands that are open for an hour after their worker counted as lost: nobody will decide them but an operator. The janitor finds them."),
		open:   gauge("cupline_dead_letters", "Dead letters that are open or being redriven, by age: 1h, 1d or older.", "state", "reason", "age"),
		oldest: gauge("cupline_dead_letters_oldest_seconds", "Age of the oldest of them.", "state", "reason"),
		rows:   gauge("cupline_table_rows", "Rows of a table, about.", "table"),
		bytes:  gauge("cupline_table_bytes", "Size of a table on disk, indexes included.", "table"),
		inserted: gauge("cupline_table_inserts",
			"Rows ever written into a table, since the database's statistics were reset: of audit_trail, the lines of the audit trail.", "table"),
	}
	var problems []error
	for _, c := range []prometheus.Collector{f.overdue, f.open, f.oldest, f.rows, f.bytes, f.inserted} {
		problems = append(problems, registerer.Register(c))
	}
	return f, errors.Join(problems...)
}

func (f *figures) ask(ctx context.Context) error {
	counts, err := f.letters.Census(ctx)
	if err != nil {
		return err
	}
	sizes, err := tables.Sizes(ctx, f.pool)
	if err != nil {
		return err
	}
	overdue, err := f.ledger.CountOverdue(ctx, overdueFor)
	if err != nil {
		return err
	}
	f.lost()
	f.overdue.WithLabelValues().Set(float64(overdue))
	oldest := map[[2]string]time.Duration{}
	for _, c := range counts {
		reason := c.Reason
		if !outcome.Reason(reason).Known() {
			reason = telemetry.Other
		}
		f.open.WithLabelValues(c.State, reason, c.Age).Add(float64(c.N))
		at := [2]string{c.State, reason}
		oldest[at] = max(oldest[at], c.Oldest)
		f.oldest.WithLabelValues(c.State, reason).Set(oldest[at].Seconds())
	}
	for _, s := range sizes {
		f.rows.WithLabelValues(s.Table).Set(float64(s.Rows))
		f.bytes.WithLabelValues(s.Table).Set(float64(s.Bytes))
		f.inserted.WithLabelValues(s.Table).Set(float64(s.Inserted))
	}
	return nil
}

// lost forgets what the gauges said.
func (f *figures) lost() {
	for _, g := range []*prometheus.GaugeVec{f.overdue, f.open, f.oldest, f.rows, f.bytes, f.inserted} {
		g.Reset()
	}
}

// survey has the figures asked for by this process, which records.
func (a *App) survey() error {
	f, err := newFigures(a.pool, a.registry)
	if err != nil {
		return err
	}
	s := telemetry.NewSurvey(telemetry.SurveyConfig{
		Name: "dead letters and tables", Every: a.cfg.Figures, Limit: figuresLimit, Ask: f.ask, Lost: f.lost, Log: a.log,
	})
	a.group.Add("figures", s.Start, s.Stop)
	return nil
}

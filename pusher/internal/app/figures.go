package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/store/mailbox"
)

// figuresLimit bounds one look.
const figuresLimit = 10 * time.Second

// figures are what only the database can tell of mailboxes. Every pusher shows the same:
// take the largest, not the sum.
type figures struct {
	mailboxes *mailbox.Store

	waiting, bytes, clients, full, missed, oldest prometheus.Gauge
	known                                         prometheus.Gauge
}

func newFigures(mailboxes *mailbox.Store, registerer prometheus.Registerer) (*figures, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	f := &figures{
		mailboxes: mailboxes,
		waiting:   gauge("cupline_mailbox_waiting", "Outcomes that wait in mailboxes."),
		bytes:     gauge("cupline_mailbox_bytes", "Bytes of the outcomes that wait in mailboxes."),
		clients:   gauge("cupline_mailbox_clients", "Clients that have outcomes waiting."),
		full:      gauge("cupline_mailbox_full_clients", "Clients that are over their mailbox's quota."),
		missed:    gauge("cupline_mailbox_missed", "Outcomes ever refused for a mailbox's quota."),
		oldest:    gauge("cupline_mailbox_oldest_seconds", "For how long the oldest undelivered outcome has waited; 0 when none does."),
		known:     gauge("cupline_mailbox_known", "1 while the database tells the figures of mailboxes; they mean nothing while it is 0."),
	}
	var problems []error
	for _, g := range []prometheus.Gauge{f.waiting, f.bytes, f.clients, f.full, f.missed, f.oldest, f.known} {
		problems = append(problems, registerer.Register(g))
	}
	return f, errors.Join(problems...)
}

func (f *figures) ask(ctx context.Context) error {
	c, err := f.mailboxes.Census(ctx)
	if err != nil {
		return err
	}
	f.waiting.Set(float64(c.Waiting))
	f.bytes.Set(float64(c.Bytes))
	f.clients.Set(float64(c.Clients))
	f.full.Set(float64(c.Full))
	f.missed.Set(float64(c.Missed))
	f.oldest.Set(c.Oldest.Seconds())
	f.known.Set(1)
	return nil
}

// survey has the figures of mailboxes asked for.
func (a *App) survey(context.Context) error {
	f, err := newFigures(a.outcomes, a.registry)
	if err != nil {
		return fmt.Errorf("register the figures of mailboxes: %w", err)
	}
	s := telemetry.NewSurvey(telemetry.SurveyConfig{
		Name: "mailboxes", Every: a.cfg.Figures, Limit: figuresLimit, Ask: f.ask, Lost: func() { f.known.Set(0) }, Log: a.log,
	})
	a.group.Add("figures", s.Start, s.Stop)
	return nil
}

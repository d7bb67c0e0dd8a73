package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/api/internal/ops"
	"github.com/cupline/cupline/chassis/telemetry"
)

// figuresLimit bounds one look.
const figuresLimit = 10 * time.Second

// figures are what the broker says of the platform's queues. Every api shows the same: take
// the largest, not the sum. Without the management API there are ready and consumers only,
// and no queues of pushers.
type figures struct {
	queues *ops.Queues

	ready, unacked, consumers, deadLettering, oldest *prometheus.GaugeVec
}

func newFigures(queues *ops.Queues, registerer prometheus.Registerer) (*figures, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"queue", "kind"})
	}
	f := &figures{
		queues:        queues,
		ready:         gauge("cupline_queue_ready", "Messages that wait in a queue for a consumer."),
		unacked:       gauge("cupline_queue_unacked", "Messages that consumers have and have not acknowledged."),
		consumers:     gauge("cupline_queue_consumers", "Consumers of a queue."),
		deadLettering: gauge("cupline_queue_dead_lettering", "Messages on their way to a dead-letter exchange; some that stay are stuck."),
		oldest:        gauge("cupline_queue_oldest_seconds", "For how long the message at a queue's head has waited at least, as far as this process has looked; absent for an empty queue."),
	}
	var problems []error
	for _, g := range f.all() {
		problems = append(problems, registerer.Register(g))
	}
	return f, errors.Join(problems...)
}

func (f *figures) all() []*prometheus.GaugeVec {
	return []*prometheus.GaugeVec{f.ready, f.unacked, f.consumers, f.deadLettering, f.oldest}
}

func (f *figures) ask(ctx context.Context) error {
	picture, err := f.queues.Read(ctx)
	if err != nil {
		return err
	}
	f.lost()
	for _, q := range picture.Queues {
		set := func(g *prometheus.GaugeVec, v float64) { g.WithLabelValues(q.Name, q.Kind).Set(v) }
		set(f.ready, float64(q.Ready))
		set(f.consumers, float64(q.Consumers))
		if q.Unacked != nil {
			set(f.unacked, float64(*q.Unacked))
		}
		if q.DeadLettering != nil {
			set(f.deadLettering, float64(*q.DeadLettering))
		}
		if q.OldestAt != nil {
			set(f.oldest, max(time.Since(*q.OldestAt), 0).Seconds())
		}
	}
	return nil
}

// lost forgets what the gauges said, queues that are gone among it.
func (f *figures) lost() {
	for _, g := range f.all() {
		g.Reset()
	}
}

// survey has the broker asked.
func (a *App) survey() error {
	f, err := newFigures(a.queues, a.metrics)
	if err != nil {
		return fmt.Errorf("register the figures of queues: %w", err)
	}
	s := telemetry.NewSurvey(telemetry.SurveyConfig{
		Name: "queues", Every: a.cfg.Figures, Limit: figuresLimit, Ask: f.ask, Lost: f.lost, Log: a.log,
	})
	a.group.Add("figures", s.Start, s.Stop)
	return nil
}

package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/schema/topology"
)

const (
	// lanesLimit bounds one question for the lanes, so that a database that hangs does not
	// keep the broker's link from coming up.
	lanesLimit = 2 * time.Second
	// lanesPause is between tries while the lanes, or the broker, cannot be asked.
	lanesPause = time.Second
)

// lanes keeps the way in declared: the commands exchange, the dead-letter exchange, and the work queue
// of every lane, on each (re)connect, whenever lanes change, and every so often. So an accepted command always
// has its quorum queue, whether a dispatcher was ever started or not.
//
// While the database is away and the lanes are not known, the link comes up all the same:
// queues that are there already work, and what is missing is answered lane_unavailable.
type lanes struct {
	link  *broker.Link
	list  func(ctx context.Context) ([]topology.Lane, error)
	log   *zap.Logger
	drift prometheus.Gauge

	again chan struct{} // room for one: declare anew
	stop  context.CancelFunc
	done  chan struct{}

	mu      sync.Mutex // guards missing
	missing error      // why not every lane is declared; nil when all are
}

func newLanes(link *broker.Link, list func(ctx context.Context) ([]topology.Lane, error), log *zap.Logger, registerer prometheus.Registerer) (*lanes, error) {
	l := &lanes{
		link: link, list: list, log: log, again: make(chan struct{}, 1), done: make(chan struct{}),
		missing: errors.New("not declared yet"),
		drift: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cupline_topology_drift",
			Help: "Queues and exchanges that exist with other arguments than declared, as last found.",
		}),
	}
	link.OnUp("declare the lanes", func(ctx context.Context, s *broker.Session) error {
		err := l.declare(ctx, s)
		if errors.Is(err, errLanesUnknown) {
			l.changed() // asked for again, by run
			return nil
		}
		return err
	})
	link.Keep(broker.KeepEvery, l.kept)
	return l, registerer.Register(l.drift)
}

// kept is what is declared again now and then: the lanes too, unless the database is away.
func (l *lanes) kept(ctx context.Context) (topology.Topology, error) {
	ctx, cancel := context.WithTimeout(ctx, lanesLimit)
	defer cancel()
	known, err := l.list(ctx)
	if err != nil {
		known = nil // they are asked for again, by run
	}
	return topology.Commands(known...), nil
}

// changed asks for declaring anew. It does not block.
func (l *lanes) changed() {
	select {
	case l.again <- struct{}{}:
	default: // asked for already
	}
}

// Ready is nil when every lane's queue was declared on the present link.
func (l *lanes) Ready(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missing
}

// Start begins to follow changes.
func (l *lanes) Start(ctx context.Context) error {
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(l.done)
		l.run(ctx)
	}()
	return nil
}

// Stop ends that.
func (l *lanes) Stop(ctx context.Context) error {
	l.stop()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop declaring lanes: %w", context.Cause(ctx))
	}
}

func (l *lanes) run(ctx context.Context) {
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.again:
		case <-retry:
		}
		retry = nil
		err := l.link.Do(ctx, l.declare)
		if err == nil || ctx.Err() != nil {
			continue
		}
		// Also while the link is down: the step of its coming up may be what asked for this.
		retry = time.After(lanesPause)
		if !errors.Is(err, broker.ErrUnavailable) {
			l.log.Warn("lanes not declared", zap.Error(err))
		}
	}
}

var errLanesUnknown = errors.New("the lanes are not known")

// declare makes what is missing. With errLanesUnknown it has declared the rest.
func (l *lanes) declare(ctx context.Context, s *broker.Session) error {
	asking, cancel := context.WithTimeout(ctx, lanesLimit)
	known, unknown := l.list(asking)
	cancel()
	if unknown != nil {
		unknown = fmt.Errorf("%w: %w", errLanesUnknown, unknown)
	}
	drifts, err := s.Declare(ctx, topology.Commands(known...))
	if err == nil {
		err = unknown
		l.drift.Set(float64(len(drifts)))
		for _, d := range drifts {
			l.log.Warn("exists with other arguments than declared; `cupline topology apply` changes it", zap.Stringer("drift", d))
		}
	}
	l.mu.Lock()
	l.missing = err
	l.mu.Unlock()
	return err
}

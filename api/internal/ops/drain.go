package ops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/drain"
)

// Backlog hands over what waits in a queue, in order, until nothing is ready in it: nil acknowledges a message, an error
// leaves it and the rest where they are.
type Backlog interface {
	Take(ctx context.Context, queue string, each func(ctx context.Context, m *message.Message) error) error
}

// Drains is what a Drainer needs of a drain.Store.
type Drains interface {
	Lease(ctx context.Context, owner uuid.UUID) (drain.Drain, bool, error)
	Renew(ctx context.Context, d *drain.Drain, owner uuid.UUID, gone int64) (bool, error)
	Release(ctx context.Context, d *drain.Drain, owner uuid.UUID, gone int64) error
	End(ctx context.Context, id uuid.UUID, state, actor, why string) (drain.Drain, error)
}

// DrainerConfig of a Drainer. All fields are required.
type DrainerConfig struct {
	Drains    Drains
	Backlog   Backlog
	Publisher Publisher
	// Ready is nil while the broker can be reached.
	Ready func() error
	Log   *zap.Logger
}

// Drainer takes lanes' backlogs to the recorder: each command ends as discarded, unless the ledger says that it was
// started, and its client is told. Any number of processes may run one; a drain has one of them at a time.
type Drainer struct {
	cfg   DrainerConfig
	owner uuid.UUID
	stop  context.CancelFunc
	done  chan struct{}
}

// NewDrainer makes one.
func NewDrainer(cfg DrainerConfig) *Drainer {
	return &Drainer{cfg: cfg, owner: uuid.New(), done: make(chan struct{})}
}

// Start begins to look for drains.
func (d *Drainer) Start(ctx context.Context) error {
	ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(d.done)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			if err := d.RunOne(ctx); err != nil && ctx.Err() == nil {
				d.cfg.Log.Warn("a drain waits", zap.Error(err))
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// Stop ends it; another process goes on.
func (d *Drainer) Stop(ctx context.Context) error {
	d.stop()
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop draining: %w", context.Cause(ctx))
	}
}

// Why the taking ends before the queue is empty.
var (
	errNewer = errors.New("accepted after the drain began")
	errOver  = errors.New("the drain is over, or another process has it")
)

// RunOne works on one drain, if there is one, until the backlog is gone, it is cancelled, or a fault that may pass.
func (d *Drainer) RunOne(ctx context.Context) error {
	if d.cfg.Ready() != nil {
		return nil
	}
	found, some, err := d.cfg.Drains.Lease(ctx, d.owner)
	if err != nil || !some {
		return err
	}
	t := taking{drainer: d, drain: &found, renewed: time.Now()}
	err = d.cfg.Backlog.Take(ctx, topology.WorkQueue(found.Lane), t.each)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	released := d.cfg.Drains.Release(ending, &found, d.owner, t.gone)
	if errors.Is(err, errOver) {
		return released
	}
	if err != nil && !errors.Is(err, errNewer) || released != nil {
		return errors.Join(err, released)
	}
	_, err = d.cfg.Drains.End(ending, found.DrainID, drain.Done, "", "the backlog is gone")
	var over *drain.StateError
	if errors.As(err, &over) {
		return nil // cancelled in the same moment
	}
	return err
}

// taking is one drain under way.
type taking struct {
	drainer *Drainer
	drain   *drain.Drain
	gone    int64 // since the last renewal
	renewed time.Time
}

// each gives one command to the recorder, at the drain's pace.
func (t *taking) each(ctx context.Context, m *message.Message) error {
	if time.Since(t.renewed) >= renewEvery {
		mine, err := t.drainer.cfg.Drains.Renew(ctx, t.drain, t.drainer.owner, t.gone)
		if err != nil {
			return err
		}
		t.gone, t.renewed = 0, time.Now()
		if !mine {
			return errOver
		}
	}
	// What cannot be read says no time, and goes too.
	if c, _ := envelope.ParseCommand(m); c.Accepted.After(t.drain.Created) {
		return errNewer
	}
	began := time.Now()
	sending, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	detail := "an operator drained the lane's backlog (drain " + t.drain.DrainID.String() + ")"
	err := t.drainer.cfg.Publisher.Publish(sending, envelope.Bury(*m, envelope.Verdict{Reason: outcome.Discarded, Detail: detail}))
	if err != nil {
		return fmt.Errorf("give a command to the recorder: %w", err)
	}
	t.gone++
	rest := time.NewTimer(time.Second/time.Duration(max(t.drain.Rate, 1)) - time.Since(began))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done(): // this one is done; the next ends it
	}
	return nil
}

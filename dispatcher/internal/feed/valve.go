package feed

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
)

// Gate tells whether a lane's commands may be taken.
type Gate interface {
	// Open reports it. Its error is temporary: the lane then stays as it is.
	Open(ctx context.Context) (bool, error)
	// Changed gets a value after it may have changed.
	Changed() <-chan struct{}
}

// gateRetry is how soon a gate that could not be asked is asked again.
const gateRetry = time.Second

// valve turns a lane's two consumers on and off.
//
// The first one is on while operators let the lane's commands be taken. What it has brought
// before is finished: delivered means started.
//
// The second is an overflow, for while commands are held. A command that another worker may
// still be running is held, without a slot, until that worker counts as lost; but it takes up
// the prefetch, which is no larger than the number of slots. So when a peer dies with hundreds
// of commands, those would stand in the way of all others for the length of their timeouts.
// While held commands take up a quarter of the prefetch or more, this consumer brings in as many
// again; what it brings waits for a free slot. That bounds the held ones as well, at twice the
// concurrency; past it the lane waits.
type valve struct {
	main, overflow *broker.Consumer
	gate           Gate
	engine         Engine
	from           int
	log            *zap.Logger
	lane           string

	// What is so; both are off before watch.
	open, over bool
}

func newValve(main, overflow *broker.Consumer, cfg *WorkConfig) *valve {
	return &valve{
		main: main, overflow: overflow, gate: cfg.Gate, engine: cfg.Engine, from: max(1, cfg.Concurrency/4),
		log: cfg.Log, lane: cfg.Lane,
	}
}

// watch turns the consumers on and off until ctx ends.
func (v *valve) watch(ctx context.Context) {
	var retry <-chan time.Time
	for ask := true; ; {
		if ask {
			retry = nil
			if !v.turn(ctx) {
				retry = time.After(gateRetry)
			}
		}
		v.spill(ctx)
		ask = true
		select {
		case <-v.engine.HeldChanged():
			ask = false
		case <-v.gate.Changed():
		case <-retry:
		case <-ctx.Done():
			return
		}
	}
}

// turn brings the first consumer in line with the gate; false when that has to be tried again.
func (v *valve) turn(ctx context.Context) bool {
	open, err := v.gate.Open(ctx)
	switch {
	case err != nil:
		return ctx.Err() != nil
	case open == v.open:
		return true
	case open:
		err = v.main.Resume(ctx)
	default:
		err = v.main.Pause(ctx)
	}
	if err != nil {
		return ctx.Err() != nil
	}
	v.open = open
	v.log.Info("whether the lane's commands are taken", zap.String("lane", v.lane), zap.Bool("taken", open))
	return true
}

// spill turns the overflow on and off. What cannot be changed is tried at the next change of what is held.
func (v *valve) spill(ctx context.Context) {
	switch held := v.engine.Held(); {
	case !v.over && v.open && held >= v.from:
		v.over = v.overflow.Resume(ctx) == nil
	case v.over && (held == 0 || !v.open):
		v.over = v.overflow.Pause(ctx) != nil
	}
}

// Package lifecycle starts named steps in order and tears them down in reverse.
package lifecycle

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// Group is a process's steps, in order.
type Group struct{}

// New makes an empty group. stopLimit bounds the whole teardown.
func New(log *zap.Logger, stopLimit time.Duration) *Group { panic("soon") }

// Add appends a step; start or stop may be nil. Sinks first, sources last.
func (g *Group) Add(name string, start, stop func(ctx context.Context) error) { panic("soon") }

// Fail makes Run end with err; for what dies while it runs.
func (g *Group) Fail(err error) { panic("soon") }

// Start runs every start in order; on an error it stops, in reverse, what had started.
func (g *Group) Start(ctx context.Context) error { panic("soon") }

// Stop runs the stops in reverse, under one deadline, and joins the errors.
func (g *Group) Stop(ctx context.Context) error { panic("soon") }

// Run starts, waits until ctx ends or something fails, and stops.
func (g *Group) Run(ctx context.Context) error { panic("soon") }

package app

import (
	"context"
	"errors"

	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/store/registry"
)

// publisher tells intake what became of a publish, in intake's own words.
type publisher struct{ broker *broker.Publisher }

func (p publisher) Publish(ctx context.Context, m message.Message) error {
	return fateOf(p.broker.Publish(ctx, m))
}

func (p publisher) Submit(ctx context.Context, m message.Message, done func(error)) {
	p.broker.Submit(ctx, m, func(err error) { done(fateOf(err)) })
}

func fateOf(err error) error {
	if err == nil {
		return nil
	}
	fate := intake.InDoubt // what nobody has thought of as well
	switch {
	case errors.Is(err, broker.ErrInDoubt):
	case errors.Is(err, broker.ErrUnroutable):
		fate = intake.Unroutable
	case errors.Is(err, broker.ErrRefused):
		fate = intake.QueueFull
	case errors.Is(err, broker.ErrBlocked):
		fate = intake.Blocked
	case errors.Is(err, broker.ErrUnavailable), errors.Is(err, broker.ErrClosed):
		fate = intake.Unavailable
	case errors.Is(err, broker.ErrInvalid):
		fate = intake.Unsendable
	}
	return &intake.PublishError{Fate: fate, Cause: err}
}

// finder finds devices in the registry's cache.
type finder struct{ cache *registry.Cache }

func (f finder) Resolve(ctx context.Context, tenant, device string) (intake.Target, error) {
	found, err := f.cache.Resolve(ctx, tenant, device)
	switch {
	case err == nil:
		return intake.Target{Device: found.Device, Type: found.Type, TypeVersion: found.TypeVersion, Lane: found.Lane}, nil
	case errors.Is(err, registry.ErrNotFound):
		return intake.Target{}, intake.ErrUnknownDevice
	case errors.Is(err, registry.ErrUnavailable):
		return intake.Target{}, errors.Join(intake.ErrRegistryUnavailable, err)
	}
	return intake.Target{}, err
}

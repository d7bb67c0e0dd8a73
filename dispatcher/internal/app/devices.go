package app

import (
	"context"
	"errors"

	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/store/registry"
)

// devices is dispatch.Devices on the registry's cache.
type devices struct{ cache *registry.Cache }

func (d devices) Find(ctx context.Context, tenant, device string) (dispatch.Target, error) {
	found, err := d.cache.Resolve(ctx, tenant, device)
	if errors.Is(err, registry.ErrNotFound) {
		return dispatch.Target{}, dispatch.ErrNoDevice
	}
	if err != nil {
		return dispatch.Target{}, err
	}
	if found.Device.Paused != nil {
		return dispatch.Target{}, dispatch.ErrPaused
	}
	return dispatch.Target{Tenant: tenant, Device: device, Address: found.Device.Address}, nil
}

// Package registry keeps devices, device types and lanes.
package registry

import (
	"context"
	"errors"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
)

var (
	// ErrNotFound says that there is no such device, type or lane.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable is store.ErrUnavailable.
	ErrUnavailable = store.ErrUnavailable
	// ErrInUse says that a type still has devices, or a lane still has types.
	ErrInUse = errors.New("in use")
	// ErrNoTenant says that the tenant does not exist.
	ErrNoTenant = errors.New("no such tenant")
	// ErrNoType says that a device names a type that does not exist.
	ErrNoType = errors.New("no such device type")
	// ErrNoLane says that a type names a lane that does not exist, or that its tenant may not use.
	ErrNoLane = errors.New("no such lane")
	// ErrNotIdempotent says that a lane without a ledger would get a method that is not idempotent.
	// A type without methods counts as such: a method that nobody described is not idempotent.
	ErrNotIdempotent = errors.New("a lane without ledger takes only types whose methods are all idempotent")
	// ErrDefaultLane says that the default lane can neither go nor lose its ledger.
	ErrDefaultLane = errors.New("the default lane must stay, with its ledger")
)

// MaxPage is the most rows of one page; a limit below 1 or above means MaxPage.
const MaxPage = 1000

// Store keeps the registry. It is safe for concurrent use. What is put must have passed its
// own Check.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

var errSoon = errors.New("not there yet")

// PutDevice makes or replaces a device. created tells which. ErrNoTenant, ErrNoType.
func (s *Store) PutDevice(ctx context.Context, d device.Device) (created bool, err error) {
	return false, errSoon
}

// Device returns one device, or ErrNotFound.
func (s *Store) Device(ctx context.Context, tenant, id string) (device.Device, error) {
	return device.Device{}, errSoon
}

// DeleteDevice deletes one device, or returns ErrNotFound.
func (s *Store) DeleteDevice(ctx context.Context, tenant, id string) error { return errSoon }

// Devices returns a page of a tenant's devices in byte order of their ids, from behind after on.
func (s *Store) Devices(ctx context.Context, tenant, after string, limit int) ([]device.Device, error) {
	return nil, errSoon
}

// PutType makes or replaces a device type. ErrNoTenant, ErrNoLane, ErrNotIdempotent.
func (s *Store) PutType(ctx context.Context, t device.Type) (created bool, err error) {
	return false, errSoon
}

// Type returns one device type, or ErrNotFound.
func (s *Store) Type(ctx context.Context, tenant, name string) (device.Type, error) {
	return device.Type{}, errSoon
}

// DeleteType deletes one device type: ErrNotFound, or ErrInUse while devices have it.
func (s *Store) DeleteType(ctx context.Context, tenant, name string) error { return errSoon }

// Types returns a page of a tenant's device types in byte order of their names, from behind after on.
func (s *Store) Types(ctx context.Context, tenant, after string, limit int) ([]device.Type, error) {
	return nil, errSoon
}

// PutLane makes or replaces a lane. ErrNotIdempotent when it would lose its ledger under
// types that need it; ErrDefaultLane.
func (s *Store) PutLane(ctx context.Context, lane topology.Lane) (created bool, err error) {
	return false, errSoon
}

// Lane returns one lane, or ErrNotFound.
func (s *Store) Lane(ctx context.Context, name string) (topology.Lane, error) {
	return topology.Lane{}, errSoon
}

// DeleteLane deletes a lane: ErrNotFound, ErrInUse while types have it, ErrDefaultLane.
func (s *Store) DeleteLane(ctx context.Context, name string) error { return errSoon }

// Lanes returns all lanes in byte order of their names.
func (s *Store) Lanes(ctx context.Context) ([]topology.Lane, error) { return nil, errSoon }

package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	rows "github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/changes"
	"github.com/cupline/cupline/store/internal/recall"
)

// Resolved is a device with everything that a command for it needs.
type Resolved struct {
	// Device shares its labels and address with all who resolve: they must not be changed.
	Device device.Device
	// Type is shared by all who resolve: it must not be changed.
	Type *device.Type
	// TypeVersion changes whenever the type is put anew, and never comes back: a key for what is
	// compiled from it.
	TypeVersion int64
	Lane        topology.Lane
}

// CacheConfig of a Cache. Zero values mean the defaults.
type CacheConfig struct {
	// Devices kept, 1 to 10,000,000. Default 100,000.
	Devices int
	// Types kept, 1 to 1,000,000. Default 10,000.
	Types int
	// Negative is how long "not found" is believed without asking again; a put ends it at once, too.
	// Default 2 s.
	Negative time.Duration
	// LoadTimeout bounds one look into the database. Default 2 s.
	LoadTimeout time.Duration
	// OnLanes is called on the listener's goroutine after a lane changed, or may have; may be nil.
	OnLanes func()
}

// Cache answers from memory; it loads what it does not know, once for all who ask at a
// time, and drops what the database notifies. It is a changes.Subscriber and safe for
// concurrent use. While notifications do not come, what is kept is asked for anew, and
// served all the same when the database does not answer.
type Cache struct {
	devices *recall.Memory[name, device.Device]
	types   *recall.Memory[name, *versioned]
	lanes   *recall.Memory[struct{}, []topology.Lane]
	onLanes func()
}

// name is a tenant's device or type.
type name struct{ tenant, id string }

// NewCache makes an empty cache on the store.
func NewCache(store *Store, cfg CacheConfig) *Cache {
	negative, timeout := cmp.Or(cfg.Negative, 2*time.Second), cmp.Or(cfg.LoadTimeout, 2*time.Second)
	c := &Cache{onLanes: cfg.OnLanes}
	if c.onLanes == nil {
		c.onLanes = func() {}
	}
	// What is loaded is kept for whoever asks by that name, so it is asked for in the name's own tenant.
	c.devices = recall.New(recall.Config[name, device.Device]{
		Load: func(ctx context.Context, n name) (device.Device, error) {
			return store.Device(rows.ForTenant(ctx, n.tenant), n.tenant, n.id)
		},
		Absent: ErrNotFound, Size: cmp.Or(cfg.Devices, 100_000), Negative: negative, LoadTimeout: timeout,
	})
	c.types = recall.New(recall.Config[name, *versioned]{
		Load: func(ctx context.Context, n name) (*versioned, error) {
			t, err := store.versioned(rows.ForTenant(ctx, n.tenant), n.tenant, n.id)
			return &t, err
		},
		Absent: ErrNotFound, Size: cmp.Or(cfg.Types, 10_000), Negative: negative, LoadTimeout: timeout,
	})
	c.lanes = recall.New(recall.Config[struct{}, []topology.Lane]{
		Load:   func(ctx context.Context, _ struct{}) ([]topology.Lane, error) { return store.Lanes(ctx) },
		Absent: ErrNotFound, Size: 1, LoadTimeout: timeout,
	})
	return c
}

// Resolve finds a device, its type and its lane: ErrNotFound, or ErrUnavailable when it is not
// in memory and the database does not answer.
func (c *Cache) Resolve(ctx context.Context, tenant, device string) (Resolved, error) {
	d, err := c.devices.Get(ctx, name{tenant, device})
	if err != nil {
		return Resolved{}, fmt.Errorf("device %s: %w", device, err)
	}
	t, err := c.types.Get(ctx, name{tenant, d.Type})
	if err != nil {
		return Resolved{}, fmt.Errorf("type %s of device %s: %w", d.Type, device, err)
	}
	lane, err := c.Lane(ctx, t.Lane)
	if err != nil {
		return Resolved{}, fmt.Errorf("device %s: %w", device, err)
	}
	return Resolved{Device: d, Type: &t.Type, TypeVersion: t.version, Lane: lane}, nil
}

// Lanes returns all lanes in byte order of their names. The slice must not be changed.
func (c *Cache) Lanes(ctx context.Context) ([]topology.Lane, error) {
	lanes, err := c.lanes.Get(ctx, struct{}{})
	if err != nil {
		return nil, fmt.Errorf("lanes: %w", err)
	}
	return lanes, nil
}

// Lane returns one lane, or ErrNotFound, or ErrUnavailable.
func (c *Cache) Lane(ctx context.Context, name string) (topology.Lane, error) {
	lanes, err := c.Lanes(ctx)
	if err != nil {
		return topology.Lane{}, err
	}
	at, found := slices.BinarySearchFunc(lanes, name, func(l topology.Lane, name string) int { return cmp.Compare(l.Name, name) })
	if !found {
		return topology.Lane{}, fmt.Errorf("lane %s: %w", name, ErrNotFound)
	}
	return lanes[at], nil
}

// Channels is changes.Registry.
func (c *Cache) Channels() []string { return []string{changes.Registry} }

// Notify drops what payload names.
func (c *Cache) Notify(_ context.Context, _, payload string) {
	switch words := strings.Split(payload, " "); {
	case words[0] == "device" && len(words) == 3:
		c.devices.Drop(name{words[1], words[2]})
	case words[0] == "type" && len(words) == 3:
		c.types.Drop(name{words[1], words[2]})
	case words[0] == "lane":
		c.lanes.Drop(struct{}{})
		c.onLanes()
	}
}

// Connected marks everything as to be asked for anew.
func (c *Cache) Connected(context.Context) {
	c.devices.Connected()
	c.types.Connected()
	c.lanes.Connected()
	c.onLanes()
}

// Disconnected marks everything as to be asked for anew until Connected.
func (c *Cache) Disconnected() {
	c.devices.Disconnected()
	c.types.Disconnected()
	c.lanes.Disconnected()
}

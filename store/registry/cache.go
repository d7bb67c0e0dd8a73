package registry

import (
	"context"
	"time"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
)

// Resolved is a device with everything that a command for it needs.
type Resolved struct {
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
type Cache struct{}

// NewCache makes an empty cache on the store.
func NewCache(store *Store, cfg CacheConfig) *Cache { return &Cache{} }

// Resolve finds a device, its type and its lane: ErrNotFound, or ErrUnavailable when it is not
// in memory and the database does not answer.
func (c *Cache) Resolve(ctx context.Context, tenant, device string) (Resolved, error) {
	return Resolved{}, errSoon
}

// Lanes returns all lanes in byte order of their names. The slice must not be changed.
func (c *Cache) Lanes(ctx context.Context) ([]topology.Lane, error) { return nil, errSoon }

// Lane returns one lane, or ErrNotFound, or ErrUnavailable.
func (c *Cache) Lane(ctx context.Context, name string) (topology.Lane, error) {
	return topology.Lane{}, errSoon
}

// Channels is changes.Registry.
func (c *Cache) Channels() []string { return nil }

// Notify drops what payload names.
func (c *Cache) Notify(ctx context.Context, channel, payload string) {}

// Connected marks everything as to be asked for anew.
func (c *Cache) Connected(ctx context.Context) {}

// Disconnected marks everything as to be asked for anew until Connected.
func (c *Cache) Disconnected() {}

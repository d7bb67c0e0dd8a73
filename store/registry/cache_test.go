package registry_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/registry"
)

func resolve(t testing.TB, c *registry.Cache, id string) registry.Resolved {
	t.Helper()
	r, err := c.Resolve(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What one process puts, the caches of two others know.
func TestChangesReachAllCaches(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	pool := db.Pool(t)
	if _, err := identity.New(pool).PutTenant(t.Context(), "acme", ""); err != nil {
		t.Fatal(err)
	}
	s := registry.New(pool)
	lanesTold := make(chan struct{}, 100)
	cfg := registry.CacheConfig{Negative: time.Hour, LoadTimeout: storetest.Patience, OnLanes: func() { lanesTold <- struct{}{} }}
	caches := []*registry.Cache{registry.NewCache(s, cfg), registry.NewCache(s, cfg)}
	storetest.Listen(t, storetest.Pool(t, db.URL(), "one", 1), caches[0])
	connected := storetest.Listen(t, storetest.Pool(t, db.URL(), "two", 1), caches[1])
	everywhere := func(what string, holds func(registry.Resolved, error) bool) {
		t.Helper()
		for _, c := range caches {
			storetest.Eventually(t, what, func() bool { return holds(c.Resolve(t.Context(), "acme", "lamp-1")) })
		}
	}
	missing := func(_ registry.Resolved, err error) bool { return errors.Is(err, registry.ErrNotFound) }

	everywhere("nothing is there", missing)
	must(t, true)(s.PutType(t.Context(), lamp("default", false)))
	must(t, true)(s.PutDevice(t.Context(), lampDevice("lamp-1")))
	var version int64
	everywhere("the device is there", func(r registry.Resolved, err error) bool {
		version = r.TypeVersion
		return err == nil && r.Device.Labels["room\x00"] == "1" && r.Type.Driver == "mqtt" && r.Lane.Name == "default"
	})
	changed := lamp("default", true)
	changed.Driver = "http"
	must(t, false)(s.PutType(t.Context(), changed))
	everywhere("the type changed", func(r registry.Resolved, err error) bool {
		return err == nil && r.Type.Driver == "http" && r.TypeVersion > version
	})
	for len(lanesTold) > 0 {
		<-lanesTold
	}
	lane := topology.DefaultLane()
	lane.MaxTTL = 2 * time.Hour
	must(t, false)(s.PutLane(t.Context(), lane))
	<-lanesTold
	<-lanesTold
	everywhere("the lane changed", func(r registry.Resolved, err error) bool { return err == nil && r.Lane.MaxTTL == 2*time.Hour })

	db.Cut(t, "two")
	if err := s.DeleteDevice(t.Context(), "acme", "lamp-1"); err != nil {
		t.Fatal(err)
	}
	<-connected
	everywhere("the device is gone, for who missed it too", missing)
}

func TestServedFromMemoryWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	pool := db.Pool(t)
	if _, err := identity.New(pool).PutTenant(t.Context(), "acme", ""); err != nil {
		t.Fatal(err)
	}
	must(t, true)(registry.New(pool).PutType(t.Context(), lamp("default", false)))
	must(t, true)(registry.New(pool).PutDevice(t.Context(), lampDevice("lamp-1")))
	proxy := db.Proxy(t)
	through := storetest.Pool(t, db.ProxyURL(proxy), "cache", 2)
	c := registry.NewCache(registry.New(through), registry.CacheConfig{LoadTimeout: storetest.Patience})
	connected := storetest.Listen(t, through, c)
	resolve(t, c, "lamp-1")
	proxy.Refuse()
	for range 3 {
		resolve(t, c, "lamp-1")
	}
	if _, err := c.Resolve(t.Context(), "acme", "lamp-2"); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("what is not in memory: %v", err)
	}
	moved := lampDevice("lamp-1")
	moved.Labels = nil
	must(t, false)(registry.New(pool).PutDevice(t.Context(), moved))
	proxy.Heal()
	<-connected
	if r := resolve(t, c, "lamp-1"); r.Device.Labels != nil {
		t.Errorf("still as it was before the gap: %+v", r.Device)
	}
	if _, err := c.Lane(t.Context(), "nowhere"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a lane that is not there: %v", err)
	}
}

func BenchmarkResolve(b *testing.B) {
	db := storetest.Database(b)
	pool := db.Pool(b)
	if _, err := identity.New(pool).PutTenant(b.Context(), "acme", ""); err != nil {
		b.Fatal(err)
	}
	s := registry.New(pool)
	must(b, true)(s.PutType(b.Context(), lamp("default", false)))
	must(b, true)(s.PutDevice(b.Context(), device.Device{Tenant: "acme", ID: "lamp-1", Type: "lamp"}))
	c := registry.NewCache(s, registry.CacheConfig{})
	storetest.Listen(b, pool, c)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Resolve(b.Context(), "acme", "lamp-1"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

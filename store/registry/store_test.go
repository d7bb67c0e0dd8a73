package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/registry"
)

// setUp makes a store with the tenants acme and other.
func setUp(t testing.TB) *registry.Store {
	t.Helper()
	pool := storetest.Database(t).Pool(t)
	for _, tenant := range []string{"acme", "other"} {
		if _, err := identity.New(pool).PutTenant(t.Context(), tenant, ""); err != nil {
			t.Fatal(err)
		}
	}
	return registry.New(pool)
}

func lamp(lane string, idempotent bool) device.Type {
	return device.Type{
		Tenant: "acme", Name: "lamp", Lane: lane, Driver: "mqtt", Methods: map[string]device.Method{
			"relay.set": {Idempotent: idempotent, Timeout: device.Duration(5 * time.Second), TTL: device.Duration(time.Minute),
				Params: json.RawMessage(`{"const":"\u0000"}`)},
		},
	}
}

func lampDevice(id string) device.Device {
	return device.Device{
		Tenant: "acme", ID: id, Type: "lamp", Address: json.RawMessage(`{"url": "http://x"}`), Labels: map[string]string{"room\x00": "1"},
	}
}

// must checks what a put says of created.
func must(t testing.TB, created bool) func(bool, error) {
	return func(got bool, err error) {
		t.Helper()
		if err != nil || got != created {
			t.Fatalf("created %v, want %v, %v", got, created, err)
		}
	}
}

func TestDevicesAndTypes(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	must(t, true)(s.PutType(t.Context(), lamp("default", false)))
	must(t, false)(s.PutType(t.Context(), lamp("default", true)))
	if got, err := s.Type(t.Context(), "acme", "lamp"); err != nil || !cmp.Equal(lamp("default", true), got) {
		t.Errorf("%s, %v", cmp.Diff(lamp("default", true), got), err)
	}
	must(t, true)(s.PutDevice(t.Context(), lampDevice("lamp-1")))
	bare := device.Device{Tenant: "acme", ID: "lamp-1", Type: "lamp"}
	for _, d := range []device.Device{bare, lampDevice("lamp-1")} {
		must(t, false)(s.PutDevice(t.Context(), d))
		if got, err := s.Device(t.Context(), "acme", "lamp-1"); err != nil || !cmp.Equal(d, got) {
			t.Errorf("%s, %v", cmp.Diff(d, got), err)
		}
	}
	stray, strayTenant, strayType := lampDevice("x"), lampDevice("x"), lamp("default", true)
	stray.Type, strayTenant.Tenant, strayType.Tenant = "nothing", "nobody", "nobody"
	_, noType := s.PutDevice(t.Context(), stray)
	_, noTenant := s.PutDevice(t.Context(), strayTenant)
	_, noTenant2 := s.PutType(t.Context(), strayType)
	_, noLane := s.PutType(t.Context(), lamp("nowhere", true))
	_, noDevice := s.Device(t.Context(), "other", "lamp-1")
	_, noSuchType := s.Type(t.Context(), "other", "lamp")
	inUse := s.DeleteType(t.Context(), "acme", "lamp")
	for _, c := range []struct{ got, want error }{
		{noType, registry.ErrNoType}, {noTenant, registry.ErrNoTenant}, {noTenant2, registry.ErrNoTenant}, {noLane, registry.ErrNoLane},
		{noDevice, registry.ErrNotFound}, {noSuchType, registry.ErrNotFound}, {inUse, registry.ErrInUse},
		{s.DeleteDevice(t.Context(), "other", "lamp-1"), registry.ErrNotFound},
		{s.DeleteDevice(t.Context(), "acme", "lamp-1"), nil}, {s.DeleteType(t.Context(), "acme", "lamp"), nil},
		{s.DeleteType(t.Context(), "acme", "lamp"), registry.ErrNotFound},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	refused := lampDevice("x\x00")
	if _, err := s.PutDevice(t.Context(), refused); !errors.Is(err, store.ErrRefused) {
		t.Errorf("a NUL in an id: %v", err)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	var want []string
	for _, id := range []string{"-", "10", "9", "A", "_", "a", "b@c"} { // in byte order
		want = append(want, id)
		ty := lamp("default", false)
		ty.Name = id
		must(t, true)(s.PutType(t.Context(), ty))
		d := lampDevice(id)
		d.Type = id
		must(t, true)(s.PutDevice(t.Context(), d))
	}
	var devices, types []string
	for after := ""; ; after = devices[len(devices)-1] {
		page, err := s.Devices(t.Context(), "acme", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, d := range page {
			devices = append(devices, d.ID)
		}
	}
	for after := ""; ; after = types[len(types)-1] {
		page, err := s.Types(t.Context(), "acme", after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, ty := range page {
			types = append(types, ty.Name)
		}
	}
	if !cmp.Equal(want, devices) || !cmp.Equal(want, types) {
		t.Errorf("devices %v, types %v, want %v", devices, types, want)
	}
	if all, err := s.Devices(t.Context(), "acme", "", 0); err != nil || len(all) != len(want) {
		t.Errorf("without limit: %d, %v", len(all), err)
	}
	if none, err := s.Devices(t.Context(), "other", "", 0); err != nil || len(none) != 0 {
		t.Errorf("another tenant: %v, %v", none, err)
	}
}

func TestLanes(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	if got, err := s.Lane(t.Context(), "default"); err != nil || !cmp.Equal(topology.DefaultLane(), got) {
		t.Errorf("the default lane is not what topology says: %s, %v", cmp.Diff(topology.DefaultLane(), got), err)
	}
	fast := topology.Lane{Name: "a-fast", MaxTTL: time.Minute, MaxLength: 10, LedgerOff: true, Tenants: []string{"acme"}}
	must(t, true)(s.PutLane(t.Context(), fast))
	must(t, false)(s.PutLane(t.Context(), fast))
	if got, err := s.Lanes(t.Context()); err != nil || !cmp.Equal([]topology.Lane{fast, topology.DefaultLane()}, got) {
		t.Errorf("%v, %v", got, err)
	}
	must(t, true)(s.PutType(t.Context(), lamp("a-fast", true)))
	_, notIdempotent := s.PutType(t.Context(), lamp("a-fast", false))
	bare := lamp("a-fast", true)
	bare.Methods = nil
	_, noMethods := s.PutType(t.Context(), bare)
	foreign := lamp("a-fast", true)
	foreign.Tenant = "other"
	_, notAllowed := s.PutType(t.Context(), foreign)
	on, off := fast, topology.DefaultLane()
	on.LedgerOff, off.LedgerOff = false, true
	must(t, false)(s.PutLane(t.Context(), on))
	must(t, false)(s.PutType(t.Context(), lamp("a-fast", false)))
	_, needed := s.PutLane(t.Context(), fast)
	_, defaultOff := s.PutLane(t.Context(), off)
	_, missing := s.Lane(t.Context(), "nowhere")
	for _, c := range []struct{ got, want error }{
		{notIdempotent, registry.ErrNotIdempotent}, {noMethods, registry.ErrNotIdempotent}, {notAllowed, registry.ErrNoLane},
		{needed, registry.ErrNotIdempotent}, {defaultOff, registry.ErrDefaultLane}, {missing, registry.ErrNotFound},
		{s.DeleteLane(t.Context(), "a-fast"), registry.ErrInUse}, {s.DeleteLane(t.Context(), "default"), registry.ErrDefaultLane},
		{s.DeleteLane(t.Context(), "nowhere"), registry.ErrNotFound},
		{s.DeleteType(t.Context(), "acme", "lamp"), nil}, {s.DeleteLane(t.Context(), "a-fast"), nil},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	if got, err := s.Lane(t.Context(), "a-fast"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("%v, %v", got, err)
	}
}

// A lane loses its ledger while a type that needs it is put there: one of the two is refused.
func TestLedgerOffRacesWithType(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	for i := range 20 {
		lane := topology.Lane{Name: fmt.Sprint("lane-", i), MaxTTL: time.Minute, MaxLength: 10}
		must(t, true)(s.PutLane(t.Context(), lane))
		ty := lamp(lane.Name, false)
		ty.Name = lane.Name
		lane.LedgerOff = true
		var typeErr, laneErr error
		var racers sync.WaitGroup
		racers.Go(func() { _, typeErr = s.PutType(t.Context(), ty) })
		racers.Go(func() { _, laneErr = s.PutLane(t.Context(), lane) })
		racers.Wait()
		if errors.Is(typeErr, registry.ErrNotIdempotent) == errors.Is(laneErr, registry.ErrNotIdempotent) {
			t.Errorf("type: %v, lane: %v", typeErr, laneErr)
		}
	}
}

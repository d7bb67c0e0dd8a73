package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/cupline/cupline/bench/internal/devices"
	pool "github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/registry"
)

const (
	tenant = "bench"
	// swiftLane is the lane whose ledger is off.
	swiftLane = "swift"
	// BacklogLane is taken by no dispatcher unless the bench starts one for it.
	BacklogLane = "backlog"
	// Method is what every type of device understands.
	Method = "relay.set"
	// writers is how many rows are written at once: each waits for the disk.
	writers = 8
)

// Kind is a type of device in the bench.
type Kind string

// The kinds, and what each puts on a command's way.
const (
	// Swift answers in the dispatcher's process, on a lane without ledger, with an idempotent method.
	Swift Kind = "swift"
	// Ledger answers in the dispatcher's process, on the default lane; its method is not idempotent.
	Ledger Kind = "ledger"
	// MQTT is Ledger with a device that answers over MQTT.
	MQTT Kind = "mqtt"
	// HTTP is Ledger with a device that answers over HTTP.
	HTTP Kind = "http"
	// Backlog is Ledger on a lane of its own, whose dispatcher the bench starts when it likes.
	Backlog Kind = "backlog"
)

func types() []device.Type {
	const timeout = device.Duration(10 * time.Second)
	ordinary := map[string]device.Method{Method: {Timeout: timeout}}
	return []device.Type{
		{Tenant: tenant, Name: string(Swift), Lane: swiftLane, Driver: "noop",
			Methods: map[string]device.Method{Method: {Timeout: timeout, Idempotent: true}}},
		{Tenant: tenant, Name: string(Ledger), Lane: topology.DefaultLane().Name, Driver: "noop", Methods: ordinary},
		{Tenant: tenant, Name: string(MQTT), Lane: topology.DefaultLane().Name, Driver: "mqtt", Methods: ordinary},
		{Tenant: tenant, Name: string(HTTP), Lane: topology.DefaultLane().Name, Driver: "http", Methods: ordinary},
		{Tenant: tenant, Name: string(Backlog), Lane: BacklogLane, Driver: "noop", Methods: map[string]device.Method{Method: {Timeout: timeout, TTL: device.Duration(time.Hour)}}},
	}
}

// Devices are the ids of a kind.
func (p *Platform) Devices(kind Kind) []string {
	ids := make([]string, p.cfg.Devices)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%04d", kind, i)
	}
	return ids
}

// Fleet connects the MQTT devices, spread over that many connections.
func (p *Platform) Fleet(ctx context.Context, connections int) (*devices.Fleet, error) {
	broker, err := url.Parse(p.broker.URL())
	if err != nil {
		return nil, fmt.Errorf("read the broker's address: %w", err)
	}
	password, _ := broker.User.Password()
	return devices.Connect(ctx, devices.Config{
		Address: p.broker.MQTTAddress(), User: broker.User.Username(), Password: password,
		Tenant: tenant, IDs: p.Devices(MQTT), Connections: connections,
	})
}

// open connects to the database as the tables' owner. What it writes is not waited for: the tables that are measured are written by
// the services, which do wait.
func (p *Platform) open(ctx context.Context) (err error) {
	address, err := url.Parse(p.database.URL())
	if err != nil {
		return errors.New("the database's address cannot be read") // the parser's words may show a password
	}
	query := address.Query()
	query.Set("synchronous_commit", "off")
	address.RawQuery = query.Encode()
	p.pool, err = pool.Open(ctx, pool.Config{URL: address.String(), MaxConns: writers, ApplicationName: "cupline-bench", StatementTimeout: 10 * time.Minute})
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	return nil
}

// Pool is the bench's own, as the tables' owner.
func (p *Platform) Pool() *pool.Pool { return p.pool }

// register writes the tenant, its clients' keys, the types and the devices.
func (p *Platform) register(ctx context.Context) error {
	keys, things := identity.New(p.pool), registry.New(p.pool)
	if _, err := keys.PutTenant(ctx, tenant, "Bench"); err != nil {
		return fmt.Errorf("make the tenant: %w", err)
	}
	if err := p.MoreClients(ctx, p.cfg.Clients); err != nil {
		return err
	}
	swift, backlog := topology.DefaultLane(), topology.DefaultLane()
	swift.Name, swift.LedgerOff = swiftLane, true
	backlog.Name, backlog.MaxLength = BacklogLane, topology.MaxLaneLength
	for _, lane := range []topology.Lane{swift, backlog} {
		if _, err := things.PutLane(ctx, lane); err != nil {
			return fmt.Errorf("make the lane %s: %w", lane.Name, err)
		}
	}
	var all []device.Device
	for _, t := range types() {
		if _, err := things.PutType(ctx, t); err != nil {
			return fmt.Errorf("make the device type %s: %w", t.Name, err)
		}
		for _, id := range p.Devices(Kind(t.Name)) {
			d := device.Device{Tenant: tenant, ID: id, Type: t.Name}
			if Kind(t.Name) == HTTP && p.cfg.DeviceServer != "" {
				address, err := json.Marshal(map[string]string{"url": "http://" + p.cfg.DeviceServer + "/" + id})
				if err != nil {
					return fmt.Errorf("write a device's address: %w", err)
				}
				d.Address = address
			}
			all = append(all, d)
		}
	}
	return each(ctx, all, func(ctx context.Context, d device.Device) error {
		if _, err := things.PutDevice(ctx, d); err != nil {
			return fmt.Errorf("make the device %s: %w", d.ID, err)
		}
		return nil
	})
}

// each calls f for all items, several at a time, and returns the first error.
func each[T any](ctx context.Context, items []T, f func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan T)
	var workers sync.WaitGroup
	for range writers {
		workers.Go(func() {
			for item := range work {
				if err := f(ctx, item); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, item := range items {
		select {
		case work <- item:
		case <-ctx.Done():
		}
	}
	close(work)
	workers.Wait()
	return context.Cause(ctx)
}

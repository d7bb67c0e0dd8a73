// Package demo makes what a newcomer tries first: a tenant with one device, which the agent plays.
package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/registry"
)

// The demo's names.
const (
	Tenant = "demo"
	Client = "me"
	Device = "host"
	kind   = "linux-host"
)

// Prepare makes the demo's tenant, device type and device; what is there stays.
func Prepare(ctx context.Context, pool *postgres.Pool) error {
	identities, devices := identity.New(pool), registry.New(pool)
	if _, err := identities.PutTenant(ctx, Tenant, "Demo"); err != nil {
		return fmt.Errorf("make the demo tenant: %w", err)
	}
	if _, err := devices.PutType(ctx, deviceType()); err != nil {
		return fmt.Errorf("make the demo device type: %w", err)
	}
	if _, err := devices.PutDevice(ctx, device.Device{Tenant: Tenant, ID: Device, Type: kind}); err != nil {
		return fmt.Errorf("make the demo device: %w", err)
	}
	return nil
}

// Login is the name with which the demo's agent logs in to the broker.
func Login() string { return device.Login(Tenant, Device) }

// deviceType describes what the agent can do.
func deviceType() device.Type {
	reading := device.Method{Idempotent: true, Timeout: device.Duration(5 * time.Second)}
	return device.Type{
		Tenant: Tenant, Name: kind, Lane: topology.DefaultLane().Name, Driver: "mqtt",
		Methods: map[string]device.Method{
			"host.info": reading,
			"host.load": reading,
			"host.disk": reading,
			"echo":      reading,
			"relay.get": reading,
			"sleep": {
				Idempotent: true, Timeout: device.Duration(time.Minute),
				Params: json.RawMessage(`{"type":"object","required":["seconds"],"properties":{"seconds":{"type":"number","minimum":0,"maximum":50}}}`),
			},
			"relay.set": {
				Timeout: device.Duration(5 * time.Second),
				Params:  json.RawMessage(`{"type":"object","required":["on"],"properties":{"on":{"type":"boolean"}},"additionalProperties":false}`),
			},
		},
	}
}

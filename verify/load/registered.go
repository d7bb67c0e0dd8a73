package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
)

// devices registers what the tenant has, and starts what the suite plays itself.
func (l *Load) devices(ctx context.Context, admin *cupline.Client, tenant Tenant) ([]target, error) {
	kinds := []device.Type{l.kind("http"), l.kind("mqtt")}
	if l.cfg.Aside != "" {
		kinds = append(kinds, l.asideKind())
	}
	if tenant.Agent != "" {
		kinds = append(kinds, l.agentKind())
	}
	for _, t := range kinds {
		if _, err := admin.PutDeviceType(ctx, t); err != nil {
			return nil, err
		}
		l.made.types = append(l.made.types, t.Name)
	}
	own := weighed()
	var targets []target
	for _, name := range l.names() {
		d := device.Device{ID: l.cfg.Prefix + name, Type: l.cfg.Prefix + "suite-mqtt"}
		if name[:3] == "web" {
			at, err := l.through(ctx, tenant.Name, d.ID, l.web.url+"/"+tenant.Name+"/"+d.ID)
			if err != nil {
				return nil, err
			}
			d.Type, d.Address = l.cfg.Prefix+"suite-http", json.RawMessage(fmt.Sprintf(`{"url":%q}`, at))
		}
		at := target{device: d.ID, methods: own, lane: l.lane()}
		if name == aside {
			d.Type, at.methods, at.lane = l.asideKind().Name, quick(), l.cfg.Aside
		}
		if _, err := admin.PutDevice(ctx, d); err != nil {
			return nil, err
		}
		l.made.devices = append(l.made.devices, d.ID)
		if name[:5] == "thing" {
			at := l.cfg.MQTT
			var err error
			if at.URL, err = l.through(ctx, tenant.Name, d.ID, at.URL); err != nil {
				return nil, err
			}
			t, err := startThing(ctx, l.cfg.Log, at, tenant.Name, d.ID)
			if err != nil {
				return nil, err
			}
			l.things = append(l.things, t)
		}
		targets = append(targets, at)
	}
	if tenant.Agent != "" {
		if _, err := admin.PutDevice(ctx, device.Device{ID: tenant.Agent, Type: l.cfg.Prefix + "suite-agent"}); err != nil {
			return nil, err
		}
		targets = append(targets, target{device: tenant.Agent, agent: true, lane: l.lane(), methods: []string{"relay.set", "relay.set", "test.twice", "test.late", "test.never"}})
	}
	return targets, nil
}

// names of the devices that are played here, and of one that nobody plays.
func (l *Load) names() []string {
	var all []string
	if l.web != nil {
		all = append(all, "web-0", "web-1")
	}
	if l.web != nil && l.cfg.Aside != "" {
		all = append(all, aside)
	}
	if l.cfg.MQTT.URL != "" {
		all = append(all, "thing-0", "thing-1")
	}
	return append(all, "absent")
}

// made is what the load registered.
type made struct{ devices, types []string }

// Remove deletes what the load registered, for a load of one tenant, with the key of the client
// that is online.
func (l *Load) Remove(ctx context.Context) error {
	var errs []error
	for _, tenant := range l.cfg.Tenants {
		admin, err := cupline.New(cupline.Config{URL: l.cfg.APIs[0], Key: tenant.Keys[string(Online)]})
		if err != nil {
			return err
		}
		defer admin.CloseIdle()
		for _, name := range l.made.devices {
			errs = append(errs, admin.DeleteDevice(ctx, name))
		}
		for _, name := range l.made.types {
			errs = append(errs, admin.DeleteDeviceType(ctx, name))
		}
	}
	l.made = made{}
	return errors.Join(errs...)
}

// weighed lists the methods of the suite's devices as often as they are sent.
func weighed() []string {
	all := []string{"fast", "fast", "fast" + again, "fast" + again}
	for _, m := range methods {
		all = append(all, m, m+again)
	}
	return all
}

// kind is the device type of the suite's own devices with that driver.
func (l *Load) kind(driver string) device.Type {
	t := device.Type{Name: l.cfg.Prefix + "suite-" + driver, Lane: l.lane(), Driver: driver, Methods: map[string]device.Method{}}
	for _, m := range methods {
		t.Methods[m] = device.Method{Timeout: device.Duration(Timeout)}
		t.Methods[m+again] = device.Method{Timeout: device.Duration(Timeout), Idempotent: true}
	}
	return t
}

// aside is the device on the lane aside, quick its methods.
const aside = "web-aside"

func quick() []string { return []string{"fast", "fast" + again} }

// asideKind is the type of the device on the lane aside.
func (l *Load) asideKind() device.Type {
	t := device.Type{Name: l.cfg.Prefix + "suite-aside", Lane: l.cfg.Aside, Driver: "http", Methods: map[string]device.Method{}}
	for _, m := range quick() {
		t.Methods[m] = device.Method{Timeout: device.Duration(Timeout), Idempotent: m != "fast"}
	}
	return t
}

// agentKind is the type of real agents. None of its methods may run twice.
func (l *Load) agentKind() device.Type {
	once := device.Method{Timeout: device.Duration(Timeout)}
	return device.Type{Name: l.cfg.Prefix + "suite-agent", Lane: l.lane(), Driver: "mqtt", Methods: map[string]device.Method{
		"relay.set": once, "test.twice": once, "test.late": once, "test.never": once,
	}}
}

func (l *Load) lane() string {
	if l.cfg.Lane == "" {
		return topology.DefaultLane().Name
	}
	return l.cfg.Lane
}

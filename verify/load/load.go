// Package load drives a mixed load over a running Cupline from a seed, and writes down all
// that its clients send and receive, and that its devices execute: several tenants, commands
// that are idempotent, not idempotent and one-way, devices that answer fast, slow, late,
// twice and never, clients that are online, flapping, slow and offline, repeated posts.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/verify/history"
)

// Config of a load.
type Config struct {
	Seed uint64
	// APIs and Pushers are addresses, http:// and ws://.
	APIs, Pushers []string
	MQTT          MQTT
	// Tenants to load.
	Tenants []Tenant
	// Rate is how many posts each client makes in a second.
	Rate float64
	Log  *history.Log
}

// Tenant is one tenant's part of the load.
type Tenant struct {
	Name string
	// Keys of the clients by their names; each manner in Manners needs one.
	Keys map[string]string
	// Agent names a device that a real agent plays; none when empty.
	Agent string
}

// Manners are the clients of each tenant; each is named for its manner.
func Manners() []Manner { return []Manner{Online, Flapping, Slow, Offline, Polling} }

// Load is a running load.
type Load struct {
	cfg       Config
	web       *web
	things    []*thing
	senders   []*sender
	receivers []*receiver

	stopSending   context.CancelFunc
	stopReceiving context.CancelFunc
	calm          chan struct{}
	sending       sync.WaitGroup
	receiving     sync.WaitGroup
	news          chan struct{}
}

// Start registers and starts the devices, then all clients. Stop it also after an error.
func Start(ctx context.Context, cfg Config) (*Load, error) {
	l := &Load{cfg: cfg, calm: make(chan struct{}), news: make(chan struct{}, 1), stopSending: func() {}, stopReceiving: func() {}}
	var err error
	if l.web, err = startWeb(ctx, cfg.Log); err != nil {
		return l, err
	}
	for i, tenant := range cfg.Tenants {
		if err := l.prepare(ctx, i, tenant); err != nil {
			return l, fmt.Errorf("prepare tenant %s: %w", tenant.Name, err)
		}
	}
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stopSending = stop
	receiving, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stopReceiving = stop
	for _, r := range l.receivers {
		l.receiving.Go(func() { r.run(receiving) })
	}
	for _, s := range l.senders {
		l.sending.Go(func() { s.run(sending) })
	}
	return l, nil
}

// prepare registers a tenant's devices and makes its clients.
func (l *Load) prepare(ctx context.Context, nth int, tenant Tenant) error {
	admin, err := cupline.New(cupline.Config{URL: l.cfg.APIs[0], Key: tenant.Keys[string(Online)]})
	if err != nil {
		return err
	}
	defer admin.CloseIdle()
	targets, err := l.devices(ctx, admin, tenant)
	if err != nil {
		return err
	}
	for i, manner := range Manners() {
		var apis, pushers []*cupline.Client
		for _, api := range l.cfg.APIs {
			for _, pusher := range l.cfg.Pushers {
				c, err := cupline.New(cupline.Config{URL: api, PushURL: pusher, Key: tenant.Keys[string(manner)]})
				if err != nil {
					return err
				}
				apis, pushers = append(apis, c), append(pushers, c)
			}
		}
		stream := uint64(nth*100 + i*2 + 1) //nolint:gosec // small numbers
		l.senders = append(l.senders, &sender{
			tenant: tenant.Name, client: string(manner), apis: apis, devices: targets, log: l.cfg.Log,
			every: time.Duration(float64(time.Second) / l.cfg.Rate), random: rand.New(rand.NewPCG(l.cfg.Seed, stream)),
		})
		l.receivers = append(l.receivers, &receiver{
			tenant: tenant.Name, client: string(manner), manner: manner, pushers: pushers, api: apis[0], log: l.cfg.Log,
			random: rand.New(rand.NewPCG(l.cfg.Seed, stream+1)), news: l.tell, calm: l.calm,
		})
	}
	return nil
}

// devices registers what the tenant has, and starts what the suite plays itself.
func (l *Load) devices(ctx context.Context, admin *cupline.Client, tenant Tenant) ([]target, error) {
	for _, t := range []device.Type{kind("http"), kind("mqtt"), agentKind()} {
		if _, err := admin.PutDeviceType(ctx, t); err != nil {
			return nil, err
		}
	}
	own := weighed()
	var targets []target
	for _, name := range []string{"web-0", "web-1", "thing-0", "thing-1", "absent"} {
		d := device.Device{ID: name, Type: "suite-mqtt"}
		if name[:3] == "web" {
			d.Type, d.Address = "suite-http", json.RawMessage(fmt.Sprintf(`{"url":%q}`, l.web.url+"/"+tenant.Name+"/"+name))
		}
		if _, err := admin.PutDevice(ctx, d); err != nil {
			return nil, err
		}
		if name[:5] == "thing" {
			t, err := startThing(ctx, l.cfg.Log, l.cfg.MQTT, tenant.Name, name)
			if err != nil {
				return nil, err
			}
			l.things = append(l.things, t)
		}
		targets = append(targets, target{device: name, methods: own})
	}
	if tenant.Agent != "" {
		if _, err := admin.PutDevice(ctx, device.Device{ID: tenant.Agent, Type: "suite-agent"}); err != nil {
			return nil, err
		}
		targets = append(targets, target{device: tenant.Agent, agent: true, methods: []string{"relay.set", "relay.set", "test.twice", "test.late", "test.never"}})
	}
	return targets, nil
}

// weighed lists the methods of the suite's devices as often as they are sent.
func weighed() []string {
	all := []string{"fast", "fast", "fast" + again, "fast" + again}
	for _, m := range methods {
		all = append(all, m, m+again)
	}
	return all
}

// agentKind is the type of real agents. None of its methods may run twice.
func agentKind() device.Type {
	once := device.Method{Timeout: device.Duration(Timeout)}
	return device.Type{Name: "suite-agent", Lane: "default", Driver: "mqtt", Methods: map[string]device.Method{
		"relay.set": once, "test.twice": once, "test.late": once, "test.never": once,
	}}
}

func (l *Load) tell() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// Calm ends the sending, when every post has got its answer; all clients become good ones.
func (l *Load) Calm() {
	l.stopSending()
	l.sending.Wait()
	close(l.calm)
}

// Settle waits until nothing is missing, or nothing more comes for that long, or ctx is done.
func (l *Load) Settle(ctx context.Context, quiet time.Duration) {
	for {
		select {
		case <-l.news:
		case <-time.After(quiet):
			return
		case <-ctx.Done():
			return
		}
	}
}

// Stop ends clients and devices.
func (l *Load) Stop() error {
	l.stopSending()
	l.sending.Wait()
	l.stopReceiving()
	l.receiving.Wait()
	for _, r := range l.receivers {
		for _, c := range r.pushers {
			c.CloseIdle()
		}
	}
	for _, t := range l.things {
		t.close()
	}
	if l.web != nil {
		if err := l.web.close(); err != nil {
			return errors.Join(errors.New("stop the devices that speak HTTP"), err)
		}
	}
	return nil
}

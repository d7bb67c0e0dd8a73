// Package load drives a mixed load over a running Cupline from a seed, and writes down all
// that its clients send and receive, and that its devices execute: several tenants, commands
// that are idempotent, not idempotent and one-way, devices that answer fast, slow, late,
// twice and never, clients that are online, flapping, slow and offline, repeated posts.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/verify/history"
)

// Config of a load.
type Config struct {
	Seed uint64
	// APIs and Pushers are addresses, http:// and ws://.
	APIs, Pushers []string
	// MQTT is where the devices that speak it connect; without a URL there are none but the
	// one that is never there.
	MQTT MQTT
	// Through, when set, gives the address by which one device is to be reached, or reaches the
	// broker, in place of the target (host:port): a link that can be broken.
	Through func(ctx context.Context, device, target string) (address string, err error)
	// Web is host:port at which the devices that speak HTTP listen, and where dispatchers reach
	// them: a free loopback port when empty. NoWeb leaves them out.
	Web   string
	NoWeb bool
	// Prefix begins the name of each device and device type; Lane is theirs, the default one
	// when empty.
	Prefix, Lane string
	// Aside is a lane that each tenant has one quick device on, besides the others; none when empty.
	Aside string
	// Tenants to load.
	Tenants []Tenant
	// Rate is how many posts each client makes in a second.
	Rate float64
	Log  *history.Log
}

// Tenant is one tenant's part of the load.
type Tenant struct {
	Name string
	// Keys of the clients by their names, which are manners of Manners; there are as many clients
	// as keys. That of the one online may make devices.
	Keys map[string]string
	// Agent names a device that a real agent plays; none when empty.
	Agent string
	// Operator is the key of one who redrives dead letters (ops:read, ops:write); none when empty.
	Operator string
}

// Manners are the clients of each tenant; each is named for its manner.
func Manners() []Manner { return []Manner{Online, Flapping, Slow, Offline, Polling} }

// Load is a running load.
type Load struct {
	cfg       Config
	web       *web
	things    []*thing
	made      made
	senders   []*sender
	receivers []*receiver
	operators []*operator

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
	if !cfg.NoWeb {
		if l.web, err = startWeb(ctx, cfg.Log, cfg.Web); err != nil {
			return l, err
		}
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
	for _, o := range l.operators {
		l.sending.Go(func() { o.run(sending) })
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
		if tenant.Keys[string(manner)] == "" {
			continue
		}
		clients, err := l.connections(ctx, tenant, manner)
		if err != nil {
			return err
		}
		stream := uint64(nth*100 + i*2 + 1) //nolint:gosec // small numbers
		l.senders = append(l.senders, &sender{
			prefix: l.cfg.Prefix, tenant: tenant.Name, client: string(manner), apis: clients, devices: targets, log: l.cfg.Log,
			every: time.Duration(float64(time.Second) / l.cfg.Rate), random: rand.New(rand.NewPCG(l.cfg.Seed, stream)),
		})
		l.receivers = append(l.receivers, &receiver{
			tenant: tenant.Name, client: string(manner), manner: manner, pushers: clients, api: clients[0], log: l.cfg.Log,
			random: rand.New(rand.NewPCG(l.cfg.Seed, stream+1)), news: l.tell, calm: l.calm,
		})
	}
	return l.employ(nth, tenant)
}

// connections of a client: one for each pair of an api and a pusher, over links of its own.
func (l *Load) connections(ctx context.Context, tenant Tenant, manner Manner) (all []*cupline.Client, err error) {
	links := func(to string, direct []string) ([]string, error) {
		addresses := make([]string, len(direct))
		for i := range direct {
			if addresses[i], err = l.through(ctx, tenant.Name, fmt.Sprintf("%s%s to %s %d", ClientLink, manner, to, i), direct[i]); err != nil {
				return nil, err
			}
		}
		return addresses, nil
	}
	pushers, err := links("pusher", l.cfg.Pushers)
	if err != nil {
		return nil, err
	}
	apis, err := links("api", l.cfg.APIs)
	if err != nil {
		return nil, err
	}
	for _, api := range apis {
		for _, pusher := range pushers {
			c, err := cupline.New(cupline.Config{URL: api, PushURL: pusher, Key: tenant.Keys[string(manner)]})
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// employ makes a tenant's operator.
func (l *Load) employ(nth int, tenant Tenant) error {
	if tenant.Operator == "" {
		return nil
	}
	stream := uint64(nth*100 + 99) //nolint:gosec // small numbers
	o := &operator{tenant: tenant.Name, log: l.cfg.Log, random: rand.New(rand.NewPCG(l.cfg.Seed, stream))}
	for _, api := range l.cfg.APIs {
		c, err := cupline.New(cupline.Config{URL: api, Key: tenant.Operator})
		if err != nil {
			return err
		}
		o.apis = append(o.apis, c)
	}
	l.operators = append(l.operators, o)
	return nil
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
	for _, o := range l.operators {
		for _, c := range o.apis {
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

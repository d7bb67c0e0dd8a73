package intake

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// neighbours stands in for the rooms that intake asks; the tests of internal/app run against the real ones.
type neighbours struct {
	targets map[string]Target // by tenant/device
	resolve error             // what Resolve fails with, if anything
	full    bool
	now     time.Time
	// fate of a message by its body; nil means confirmed.
	fate func(body string) error

	mu        sync.Mutex
	published []message.Message
	accepted  []string
	refused   []problem.Code
}

func (n *neighbours) Resolve(_ context.Context, tenant, id string) (Target, error) {
	if n.resolve != nil {
		return Target{}, n.resolve
	}
	target, has := n.targets[tenant+"/"+id]
	if !has {
		return Target{}, ErrUnknownDevice
	}
	return target, nil
}

func (n *neighbours) Publish(_ context.Context, m message.Message) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.published = append(n.published, m)
	if n.fate == nil {
		return nil
	}
	return n.fate(string(m.Body))
}

func (n *neighbours) Submit(ctx context.Context, m message.Message, done func(error)) {
	err := n.Publish(ctx, m)
	go done(err)
}

func (n *neighbours) Full(string, string) bool { return n.full }

func (n *neighbours) Now() time.Time { return n.now }

func (n *neighbours) Accepted(tenant, lane string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.accepted = append(n.accepted, tenant+" "+lane)
}

func (n *neighbours) NotAccepted(_ string, code problem.Code) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refused = append(n.refused, code)
}

func lampType() *device.Type {
	return &device.Type{Tenant: "acme", Name: "lamp", Lane: "default", Driver: "mqtt", Methods: map[string]device.Method{
		"relay.set": {
			Timeout: device.Duration(5 * time.Second), TTL: device.Duration(30 * time.Second),
			Params: []byte(`{"type":"object","required":["on"],"properties":{"on":{"type":"boolean"}}}`),
		},
		"host.info": {Idempotent: true},
	}}
}

func newNeighbours() *neighbours {
	lamp := lampType()
	quick := topology.Lane{Name: "quick", MaxTTL: 10 * time.Second, MaxLength: 10, LedgerOff: true}
	elsewhere := topology.Lane{Name: "vip", MaxTTL: time.Hour, MaxLength: 10, Tenants: []string{"other"}}
	return &neighbours{
		now: time.Date(2026, 3, 1, 12, 0, 0, 250_999_999, time.UTC),
		targets: map[string]Target{
			"acme/lamp-1": {Device: device.Device{Tenant: "acme", ID: "lamp-1", Type: "lamp"}, Type: lamp, TypeVersion: 1, Lane: topology.DefaultLane()},
			"acme/quick":  {Device: device.Device{Tenant: "acme", ID: "quick", Type: "lamp"}, Type: lamp, TypeVersion: 1, Lane: quick},
			"acme/vip":    {Device: device.Device{Tenant: "acme", ID: "vip", Type: "lamp"}, Type: lamp, TypeVersion: 1, Lane: elsewhere},
		},
	}
}

func (n *neighbours) intake() *Intake {
	return New(Config{Registry: n, Publisher: n, Quota: n, Clock: n, Observer: n})
}

var errLink = errors.New("link died")

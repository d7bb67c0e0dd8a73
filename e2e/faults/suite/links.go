package suite

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/cupline/cupline/e2e/faults/link"
	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/verify/history"
	"github.com/cupline/cupline/verify/load"
)

// of stands before the tenant in the name of what is one tenant's alone.
const of = " of "

// front puts a link between the clients and a service, and returns its address.
func (s *site) front(ctx context.Context, name string) (string, error) {
	return s.through(ctx, "clients to "+name, s.Service(name).Public)
}

// through puts a link before what belongs to nobody of ours: a client, a device.
func (s *site) through(ctx context.Context, name, target string) (string, error) {
	l, err := s.open(ctx, name, target)
	if err != nil {
		return "", err
	}
	s.outside[name] = true
	return l.Address(), nil
}

// outsideTargets are the links to clients and devices, each of its own.
func (s *site) outsideTargets() []schedule.Target {
	var all []schedule.Target
	for _, name := range slices.Sorted(maps.Keys(s.outside)) {
		all = append(all, schedule.Target{Name: name, Class: schedule.Outside, Kind: outsideKind(name)})
	}
	return all
}

// belongs fills in whose a fault is alone: a client's, a device's, a tenant's.
func belongs(e history.Event) history.Event {
	what, tenant, one := strings.Cut(e.Name, of)
	client, isClient := strings.CutPrefix(what, load.ClientLink)
	lane, isLane := strings.CutPrefix(e.Name, laneOf)
	switch {
	case isLane:
		e.Lane = lane
	case !one:
	case isClient:
		e.Tenant = tenant
		e.Client, _, _ = strings.Cut(client, " ")
	case what == devices:
		e.Tenant = tenant
	default:
		e.Tenant, e.Device = tenant, what
	}
	return e
}

// laneOf begins the name of a lane as a target.
const laneOf = "lane "

// stickLane stops the dispatchers of a lane in their tracks: nobody takes its commands.
func (s *site) stickLane(ctx context.Context, f schedule.Fault) (err error) {
	for _, p := range s.parts {
		if p.program != services.Dispatcher || p.env["CUPLINE_ROLES"] != "work" || (p.name == asideName) != (f.Target == laneOf+aside) {
			continue
		}
		defer s.hold(p.name)()
		if err := s.Pause(p.name); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Resume(p.name)) }()
	}
	pause(ctx, f.For)
	return nil
}

// stickTenant lets none of a tenant's devices answer.
func (s *site) stickTenant(ctx context.Context, f schedule.Fault) error {
	_, tenant, _ := strings.Cut(f.Target, of)
	set := func(mode link.Mode) {
		for name := range s.outside {
			if strings.HasSuffix(name, of+tenant) && !strings.HasPrefix(name, load.ClientLink) {
				s.links[name].Set(mode)
			}
		}
	}
	set(link.HalfOpen)
	pause(ctx, f.For)
	set(link.Whole)
	return nil
}

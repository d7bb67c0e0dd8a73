package platform

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/services"
)

// Member is one of the platform's processes.
type Member struct {
	*services.Service
	// Program is what it runs; Name is its own.
	Program, Name string
	ports         *ports.Reservation
}

// startServices runs one of each program.
func (p *Platform) startServices(ctx context.Context) error {
	for _, program := range serviceNames() {
		m, err := p.launch(program, program, map[string]string{"CUPLINE_SLOT": "bench"})
		if err != nil {
			return err
		}
		if program == services.API {
			p.API = m.Public
		}
	}
	for _, m := range p.members {
		if err := p.ready(ctx, m); err != nil {
			return err
		}
	}
	p.say("the platform is ready")
	return nil
}

// Launch runs one more of a program, under a name that no other has, with settings of its own, and waits until it is ready. It
// runs until End, or the platform's Stop.
func (p *Platform) Launch(ctx context.Context, program, name string, own map[string]string) (*Member, error) {
	env := map[string]string{"CUPLINE_SLOT": name}
	maps.Copy(env, own)
	m, err := p.launch(program, name, env)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, m); err != nil {
		return nil, errors.Join(err, p.End(context.WithoutCancel(ctx), m))
	}
	return m, nil
}

func (p *Platform) ready(ctx context.Context, m *Member) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	if err := m.WaitReady(ctx); err != nil {
		return fmt.Errorf("%s is not ready: %w", m.Name, err)
	}
	return nil
}

func (p *Platform) launch(program, name string, own map[string]string) (*Member, error) {
	env := p.addresses()
	// The platform is measured, not its limits.
	maps.Copy(env, map[string]string{
		"CUPLINE_KEY_RATE": "0", "CUPLINE_CLIENT_RATE": "0", "CUPLINE_DEVICE_RATE": "0", "CUPLINE_MAILBOX_OUTCOMES": "100000000",
		"CUPLINE_MAILBOX_BYTES": "1099511627776", "CUPLINE_LANES": "default," + swiftLane, "CUPLINE_NOOP_DRIVER": "true",
		// The bench's HTTP devices listen on the loopback address.
		"CUPLINE_HTTP_ALLOWED_NETWORKS": "127.0.0.0/8",
	})
	maps.Copy(env, own)
	maps.Copy(env, p.cfg.Settings)
	env["DATABASE_URL"] = p.logins[program]
	if program == services.Dispatcher {
		env["CUPLINE_JANITOR_DATABASE_URL"] = p.logins["janitor"]
	}
	reserved, err := ports.Reserve(0, 0)
	if err != nil {
		return nil, err
	}
	service, err := p.set().Start(services.Spec{Name: name, Program: program, Env: env, Ports: reserved})
	if err != nil {
		return nil, errors.Join(err, reserved.Release())
	}
	m := &Member{Service: service, Program: program, Name: name, ports: reserved}
	p.members = append(p.members, m)
	return m, nil
}

// End stops a member in order.
func (p *Platform) End(ctx context.Context, m *Member) error {
	err := m.Stop(ctx, syscall.SIGTERM, serviceGrace)
	p.forget(m)
	return errors.Join(err, m.ports.Release())
}

// Crash kills a member.
func (p *Platform) Crash(m *Member) error {
	err := m.Kill()
	p.forget(m)
	return errors.Join(err, m.ports.Release())
}

func (p *Platform) forget(m *Member) {
	var left []*Member
	for _, other := range p.members {
		if other != m {
			left = append(left, other)
		}
	}
	p.members = left
}

// endAll stops all members at once.
func (p *Platform) endAll(ctx context.Context) error {
	failures := make(chan error, len(p.members))
	for _, m := range p.members {
		go func() { failures <- errors.Join(m.Stop(ctx, syscall.SIGTERM, serviceGrace), m.ports.Release()) }()
	}
	var err error
	for range p.members {
		err = errors.Join(err, <-failures)
	}
	p.members = nil
	return err
}

// endEarlier ends the members that an earlier run, which was killed, has left.
func (p *Platform) endEarlier(ctx context.Context) error {
	left, err := filepath.Glob(filepath.Join(p.cfg.Folder, "pid", "*"))
	if err != nil {
		return fmt.Errorf("look for services of an earlier run: %w", err)
	}
	for _, file := range left {
		if err := p.set().End(ctx, filepath.Base(file), time.Second); err != nil {
			return fmt.Errorf("end a service of an earlier run: %w", err)
		}
	}
	return nil
}

// Pushers are the WebSocket addresses of those that run.
func (p *Platform) Pushers() []string {
	var all []string
	for _, m := range p.members {
		if m.Program == services.Pusher {
			all = append(all, m.Socket())
		}
	}
	return all
}

// Socket is a pusher's WebSocket address.
func (m *Member) Socket() string { return "ws://" + m.Public + "/v1/connect" }

// Members are those that run a program; all for "".
func (p *Platform) Members(program string) []*Member {
	var all []*Member
	for _, m := range p.members {
		if program == "" || m.Program == program {
			all = append(all, m)
		}
	}
	return all
}

// Internal are the members' internal ports, host:port by name.
func (p *Platform) Internal() map[string]string {
	all := map[string]string{}
	for _, m := range p.members {
		all[m.Name] = m.Internal
	}
	return all
}

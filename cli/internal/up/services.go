package up

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/cupline/cupline/local/services"
)

// names of the services, in the order in which they are started.
func names() []string { return []string{"api", "dispatcher", "pusher", "agent"} }

// clearOrphans ends services that a killed run left behind. They are not adopted: what
// runs is always what was just built.
func (s *stage) clearOrphans(ctx context.Context) error {
	var errs []error
	for _, name := range names() {
		errs = append(errs, s.set.End(ctx, name, serviceGrace))
	}
	return errors.Join(errs...)
}

func (s *stage) specs() []services.Spec {
	env := func(database string, more ...string) map[string]string {
		all := map[string]string{"AMQP_URL": s.access.AMQP, "DATABASE_URL": database}
		if s.access.Management != "" {
			all["RABBITMQ_MANAGEMENT_URL"] = s.access.Management
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	specs := []services.Spec{
		{Name: "api", Program: services.API, Env: env(s.logins.API, "CUPLINE_CONSOLE_PUSH_URL", s.access.Push)},
		{Name: "dispatcher", Program: services.Dispatcher, Env: env(s.logins.Dispatcher, "CUPLINE_JANITOR_DATABASE_URL", s.logins.Janitor, "CUPLINE_DEVICES_MANAGEMENT_URL", s.access.Management)},
		{Name: "pusher", Program: services.Pusher, Env: env(s.logins.Pusher, "CUPLINE_SLOT", "pusher-0", "CUPLINE_ORIGINS", s.access.API)},
	}
	if s.access.MQTT != "" {
		specs = append(specs, services.Spec{Name: "agent", Program: services.Agent, Env: s.agentEnvironment()})
	}
	return specs
}

// startServices starts all of them at once and waits until each is ready.
func (s *stage) startServices(ctx context.Context) error {
	for _, spec := range s.specs() {
		spec.Ports = s.ports[spec.Name]
		started, err := s.set.Start(spec)
		if err != nil {
			return err
		}
		s.running = append(s.running, running{spec.Name, started})
	}
	var waits []func(context.Context) error
	for _, service := range s.running {
		waits = append(waits, func(ctx context.Context) error {
			if err := service.WaitReady(ctx); err != nil {
				return fmt.Errorf("%s is not ready (its log: %s): %w", service.name, service.Log, err)
			}
			s.progress.line("%s is ready", service.name)
			return nil
		})
	}
	return together(ctx, waits...)
}

// wait returns when ctx ends, or with the name of the first service that ended by itself.
func (s *stage) wait(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(s.running)+2)
	var watches sync.WaitGroup
	watch := func(name, log string, wait func(context.Context) error) {
		watches.Go(func() {
			if err := wait(ctx); ctx.Err() == nil {
				ended <- errors.Join(fmt.Errorf("%s has ended by itself; its log: %s", name, log), err)
			}
		})
	}
	for _, service := range s.running {
		watch(service.name, service.Log, service.Wait)
	}
	if s.broker != nil {
		watch("RabbitMQ", s.broker.LogFile(), s.broker.Wait)
	}
	if s.database != nil {
		watch("Postgres", s.database.LogFile(), s.database.Wait)
	}
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	cancel()
	watches.Wait()
	return err
}

// stopServices ends them at once, each in its own order; sources and sinks alike can wait for a broker that is still there.
func (s *stage) stopServices(ctx context.Context) error {
	errs := make([]error, len(s.running))
	var all sync.WaitGroup
	for i, service := range s.running {
		all.Go(func() { errs[i] = service.Stop(ctx, syscall.SIGTERM, serviceGrace) })
	}
	all.Wait()
	return errors.Join(errs...)
}
